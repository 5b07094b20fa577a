package api

import "time"

// CodeVersion is one uploaded version of a service's code.
type CodeVersion struct {
	ID          string    `json:"id" doc:"code- and six letters or digits; code-default is the welcome page"`
	Description string    `json:"description,omitempty"`
	Filename    string    `json:"filename,omitempty" doc:"As uploaded"`
	Format      string    `json:"format,omitempty" doc:"tar, tar.gz, tar.bz2, tar.xz or zip"`
	Size        int64     `json:"size" doc:"Bytes of the archive"`
	SHA256      string    `json:"sha256,omitempty"`
	Created     time.Time `json:"created"`
	Enabled     bool      `json:"enabled" doc:"Requests get this version"`
	Wanted      bool      `json:"wanted,omitempty" doc:"Requests are to get this version once every machine has checked it"`
	Reason      string    `json:"reason,omitempty" doc:"Why it was refused when it was to be enabled"`

	Operation OperationID `json:"operation,omitempty" doc:"Of an upload that enables it: what to wait for"`
}

// CodeUpload is how far the upload of an archive has come, when an earlier one has broken off.
type CodeUpload struct {
	SHA256 string `json:"sha256"`
	Length int64  `json:"length" doc:"Bytes that are there: the upload goes on after them"`
}

// CodeEnable asks that requests get another version.
type CodeEnable struct {
	Version string `json:"version"`
}

// CodeSpec is the part of a ServiceSpec that says which code a service runs.
type CodeSpec struct {
	Wanted   string     `json:"wanted" doc:"The version that requests are to get once every node has checked it"`
	Serving  string     `json:"serving" doc:"The last version that served; it goes on until Wanted is good everywhere"`
	Versions []CodeBlob `json:"versions" doc:"Wanted and Serving"`
}

// CodeStatus is what a manager says of the code of a service.
type CodeStatus struct {
	Serving string `json:"serving" doc:"The version that every proxy gives requests; empty while they differ"`
	Refused string `json:"refused,omitempty" doc:"The version that a node refused; it is not served"`
	Reason  string `json:"reason,omitempty" doc:"Why, with the node"`
}
