package api

import (
	"slices"
	"time"
)

// MaxActionInput is how many bytes the input of an action may have.
const MaxActionInput = 64 << 30

// The headers of the answer to an action.
const (
	HeaderOperation = "Conpaas-Operation" // id of the action's operation
	HeaderSkipped   = "Conpaas-Skipped"   // why nothing was done, and that is well
)

// ParamNew is the switch of an action that is to be done only where there is nothing yet that it would overwrite.
const ParamNew = "new"

// ActionIdle is how long an action may stand still: when nothing of its input or output moves for so long it ends.
const ActionIdle = 10 * time.Minute

// ActionKind is something that a machine of a service can be told to do now, while its caller waits: its input and its output are
// streams of any length, of which nothing is kept on the way. What a service is to be is no action: settings, secrets and code say that.
type ActionKind struct {
	Name   string    `json:"name"`
	Help   string    `json:"help"`
	Role   Role      `json:"role" doc:"Of the machine that does it"`
	Input  bool      `json:"input,omitempty" doc:"It takes a body"`
	Output bool      `json:"output,omitempty" doc:"Its answer has a body"`
	Params []Setting `json:"params,omitempty" doc:"Members of the query"`
}

// FindAction gives an action of the type.
func (k ServiceKind) FindAction(name string) (ActionKind, bool) {
	i := slices.IndexFunc(k.Actions, func(a ActionKind) bool { return a.Name == name })
	if i < 0 {
		return ActionKind{}, false
	}
	return k.Actions[i], true
}

// SecretKind is a secret that each service of a type has. The director makes it with the service.
type SecretKind struct {
	Name     string `json:"name"`
	Help     string `json:"help"`
	Settable bool   `json:"settable,omitempty" doc:"Its owner may replace it"`
}

// SecretChange replaces a secret of a service.
type SecretChange struct {
	Value Secret `json:"value" doc:"8 to 128 letters, digits and signs of ASCII, without blanks, quotes and backslashes and no $ at the beginning"`
}

// FindSecret gives a secret of the type.
func (k ServiceKind) FindSecret(name string) (SecretKind, bool) {
	i := slices.IndexFunc(k.Secrets, func(s SecretKind) bool { return s.Name == name })
	if i < 0 {
		return SecretKind{}, false
	}
	return k.Secrets[i], true
}
