package api

// Cloud is one configured cloud.
type Cloud struct {
	Name    string            `json:"name" doc:"\"default\" is the one of [iaas]"`
	Kind    string            `json:"kind" doc:"For example local, ec2"`
	Options map[string]string `json:"options,omitempty" doc:"Its settings; secrets are shown as ***"`
	Nodes   int               `json:"nodes" doc:"Machines of this installation there"`

	// Isolation is empty for clouds whose machines are elsewhere, and for everybody but administrators.
	Isolation string `json:"isolation,omitempty" doc:"How machines are kept from the director's host and from each other"`
}

// Check is one finding about a cloud or the host.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail" doc:"What was found and, when it is not good, the remedy"`
}
