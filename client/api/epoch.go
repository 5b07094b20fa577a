package api

import "cmp"

// Protocol is the version of the calls between director, managers and agents. A release raises it when a child of the
// version before would misunderstand its calls. A new member that an older child may pass over is no reason to.
const Protocol = 1

// The headers that carry protocol and epoch on every downward call.
const (
	HeaderProtocol    = "Conpaas-Protocol"
	HeaderFence       = "Conpaas-Fence"
	HeaderIncarnation = "Conpaas-Incarnation"
	HeaderRevision    = "Conpaas-Revision"
	HeaderRequestID   = "X-Request-Id"
)

// Epoch orders the parents of a child. A child stores the highest it has seen and answers CodeStale to
// lower ones, so that a zombie manager, a restored database or a second director cannot act.
type Epoch struct {
	Fence       uint64 `json:"fence" doc:"Raised by every start, restore and takeover of a director"`
	Incarnation uint64 `json:"incarnation" doc:"Raised by every replacement of the application's manager"`
	Revision    uint64 `json:"revision" doc:"Raised by every change of the spec"`
}

// Compare orders epochs: by fence, then incarnation, then revision. It is negative when e is older than o.
func (e Epoch) Compare(o Epoch) int {
	return cmp.Or(cmp.Compare(e.Fence, o.Fence), cmp.Compare(e.Incarnation, o.Incarnation), cmp.Compare(e.Revision, o.Revision))
}
