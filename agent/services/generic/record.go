package generic

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"conpaas/agent/host"
)

// Below the state directory.
const (
	stateDir   = "services/generic"
	codeDir    = stateDir + "/code"
	homeDir    = stateDir + "/home"
	recordFile = stateDir + "/record.json"
	maxRecord  = 4 << 20
)

// record is what has been done on this machine. It is on disk before the next thing begins, so that nothing is done twice.
type record struct {
	Versions map[string]version `json:"versions"`
	Current  string             `json:"current,omitempty"`  // the version whose scripts are used
	Notified string             `json:"notified,omitempty"` // digest of what the last notify was told of
	Command  uint64             `json:"command,omitempty"`  // the newest that was begun or refused
	Refusal  string             `json:"refusal,omitempty"`
	Scripts  map[string]run     `json:"scripts"` // by name: the last run
}

// version is how far a version is.
type version struct {
	SHA256   string `json:"sha256,omitempty"`
	Unpacked bool   `json:"unpacked,omitempty"`
	Begun    bool   `json:"begun,omitempty"`   // its init has begun: the last run of init is its
	Ready    bool   `json:"ready,omitempty"`   // its init has succeeded, or there is none
	Refused  string `json:"refused,omitempty"` // why it cannot be used
	Env      string `json:"env,omitempty"`     // beside Refused by init: digest of its environment
}

// run is the last run of a script.
type run struct {
	Version     string    `json:"version"`
	Args        []string  `json:"args,omitempty"`
	Begun       time.Time `json:"begun"`
	Running     bool      `json:"running,omitempty"` // as far as is known
	Exit        int       `json:"exit"`
	Reason      string    `json:"reason,omitempty"` // why it was ended by ConPaaS
	Words       string    `json:"words,omitempty"`
	Interrupted bool      `json:"interrupted,omitempty"`
}

func readRecord(h *host.Host) (r record, err error) {
	data, err := h.State().Read(recordFile, maxRecord)
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("what was done on this machine: %w", err)
	}
	if r.Versions == nil {
		r.Versions = map[string]version{}
	}
	if r.Scripts == nil {
		r.Scripts = map[string]run{}
	}
	return r, nil
}

func (r record) write(h *host.Host) error {
	data, err := json.Marshal(r)
	if err == nil {
		_, err = h.State().Write(recordFile, data, 0o600)
	}
	return err
}
