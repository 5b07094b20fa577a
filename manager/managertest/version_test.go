package managertest

import (
	"strings"
	"testing"
)

// An agent of another version that does not understand its manager is named as such, and not taken for a silent one; once
// it does, it is told everything.
func TestAgentOfAnotherVersion(t *testing.T) {
	d := NewDirector(t)
	m := d.StartManager("n1000", Application, Timing())
	a := d.NewAgent("n1", Application, 1, 1)
	a.Older(true)
	m.Put(spec(1, 1, a.Info))
	m.Watch()
	a.Connect(m)
	k := m.AwaitKnown("the director is told of the version", func(k Known) bool { return strings.Contains(k.Nodes["n1"].Reason, "runs version test") })
	if n := k.Nodes["n1"]; !n.Connected || n.Ready || !strings.Contains(n.Reason, "it speaks protocol 1, and the call is of protocol 2; remove this node") {
		t.Errorf("the manager says %+v", n)
	}
	a.Older(false)
	m.AwaitSettled(1)
}
