package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Bounds of start-up scripts.
const (
	ScriptMax          = 64 << 10 // bytes
	ScriptSeconds      = 600      // how long one may run, unless its owner says otherwise
	ScriptSecondsLimit = 6 * 3600 // the longest that can be said
)

// Script is what runs once on every new machine of a service, as root, before its roles begin.
type Script struct {
	Script  Secret    `json:"script"`
	Seconds int       `json:"seconds" doc:"How long it may run"`
	Changed time.Time `json:"changed"`
}

// ScriptChange is the body of PUT …/script.
type ScriptChange struct {
	Script  Secret `json:"script" doc:"At most 64 KiB; its first line names its interpreter, else it is a shell's"`
	Seconds int    `json:"seconds,omitempty" doc:"How long it may run; default 600"`
}

// Startup is the start-up script as machines get it.
type Startup struct {
	Script  Secret            `json:"script"`
	Seconds int               `json:"seconds"`
	Env     map[string]Secret `json:"env,omitempty" doc:"As ServiceSpec.Env"`
}

// Sum tells scripts apart; "" stands for none.
func (s *Startup) Sum() string {
	if s == nil {
		return ""
	}
	text, _ := json.Marshal(s) // strings and numbers always have a JSON form
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
