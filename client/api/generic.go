package api

import (
	"net/netip"
	"time"
)

// Generic is the type of the service that runs its owner's scripts.
const Generic ServiceType = "generic"

// The roles of a generic service. What they mean is up to the scripts.
const (
	RoleMaster Role = "master" // exactly one machine, whose address all know
	RoleNode   Role = "node"
)

// The scripts of a generic service, by their names in an archive without ".sh". The first two are run by the service itself, the
// others are the commands of the type.
const (
	GenericInit      = "init"      // on every machine when a version is enabled, and on every new one
	GenericNotify    = "notify"    // on every machine when members or variables are others than before
	GenericRun       = "run"       // the program
	GenericInterrupt = "interrupt" // is to end what runs
	GenericCleanup   = "cleanup"   // after the program
)

// GenericScripts gives all of them, in the order in which they are shown.
func GenericScripts() []string {
	return []string{GenericInit, GenericNotify, GenericRun, GenericInterrupt, GenericCleanup}
}

// GenericAgents is where scripts find the members of their service, as a JSON list of GenericMember.
const GenericAgents = "/var/cache/cpsagent/agents.json"

// GenericConfig is the RoleSpec.Config of both roles of a generic service.
type GenericConfig struct {
	Versions []CodeBlob        `json:"versions" doc:"Versions to have unpacked, and whose init has run"`
	Version  string            `json:"version" doc:"The one whose scripts are used; it is among Versions"`
	Members  []GenericMember   `json:"members" doc:"The machines of the service, the master first, then by age"`
	Env      map[string]Secret `json:"env,omitempty" doc:"Environment variables of the scripts"`
	Root     bool              `json:"root,omitempty" doc:"Scripts run as root"`
	Timeout  int               `json:"timeout,omitempty" doc:"Seconds after which a script is killed; 0: never"`
	Command  *Command          `json:"command,omitempty" doc:"What to do, unless it has been begun here before"`
}

// GenericMember is one machine of a generic service, as its scripts read it.
type GenericMember struct {
	ID   NodeID     `json:"id"`
	IP   netip.Addr `json:"ip" doc:"On the overlay"`
	Role Role       `json:"role"`
}

// GenericFacts are the RoleStatus.Facts of both roles of a generic service.
type GenericFacts struct {
	Checked map[string]bool          `json:"checked,omitempty" doc:"Version id: it is unpacked, and its init has not failed"`
	Refused map[string]string        `json:"refused,omitempty" doc:"Version id: why it cannot be used, in the words of its init or of the unpacker"`
	Version string                   `json:"version,omitempty" doc:"The one whose scripts are used"`
	Has     []string                 `json:"has,omitempty" doc:"The scripts of that version"`
	Scripts map[string]GenericScript `json:"scripts,omitempty" doc:"By the script's name: the last run"`
	Command uint64                   `json:"command,omitempty" doc:"Number of the newest command that was begun or refused here"`
	Refusal string                   `json:"refusal,omitempty" doc:"Why it was refused"`
}

// GenericScript is the last run of a script on one machine.
type GenericScript struct {
	Running bool      `json:"running,omitempty"`
	Exit    int       `json:"exit" doc:"Return code of one that has ended; 128 and the signal's number where one has ended it"`
	Reason  string    `json:"reason,omitempty" doc:"Why ConPaaS has ended it, where it has"`
	Begun   time.Time `json:"begun"`
	Words   string    `json:"words,omitempty" doc:"What one that has failed wrote last"`
}
