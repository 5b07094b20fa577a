package managertest_test

import (
	"io"
	"net/http"
	"testing"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/client/wire/wiretest"
	"conpaas/manager/managertest"
	"conpaas/manager/service"
	"conpaas/manager/services/helloworld"
)

// chooser has actions on the newest machine.
type chooser struct{ helloworld.Half }

func (chooser) Choose(in service.Input, action string) (api.NodeID, error) {
	if action == "stray" {
		return "n77", nil
	}
	return in.Nodes[len(in.Nodes)-1].ID, nil
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }

// The manager passes an action on to the machine that the half chooses, both ways and with its outcome, and keeps nothing.
func TestActionsGoToTheChosenMachine(t *testing.T) {
	const large = 200 << 20
	d := managertest.NewDirector(t)
	d.Halves = map[api.ServiceType]service.Half{api.Helloworld: chooser{}}
	m := d.StartManager("n1000", managertest.Application, managertest.Timing())
	first, second := d.NewAgent("n1", managertest.Application, 1, 1), d.NewAgent("n2", managertest.Application, 1, 2)
	m.Put(api.ManagerSpec{
		Application: api.ApplicationSpec{
			ID: managertest.Application, Name: "a", Revision: 1, Network: managertest.Network(),
			Services: []api.ServiceSpec{{ID: 1, Type: api.Helloworld, Name: "hello", Nodes: map[api.Role]int{api.HelloworldNode: 2}}},
		},
		Nodes: []api.NodeInfo{first.Info, second.Info},
	})
	first.Connect(m)
	second.Connect(m)
	m.Watch()
	m.AwaitSettled(1)
	second.Act(func(w http.ResponseWriter, r *http.Request) error {
		if r.URL.Query().Get("fail") != "" {
			if _, err := io.WriteString(wire.NewOutput(w), "half"); err != nil {
				return err
			}
			return api.Errorf(api.CodeConflict, "Lost connection")
		}
		_, err := io.Copy(wire.NewOutput(w), r.Body)
		return err
	})
	level := wiretest.Measure()
	answer, err := m.Act(t.Context(), m.Epoch(), 1, "turn", nil, io.LimitReader(zeroes{}, large))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, answer); err != nil || n != large {
		t.Errorf("%d bytes came back, %v", n, err)
	}
	answer.Close()
	if answer, err = m.Act(t.Context(), m.Epoch(), 1, "turn", map[string][]string{"fail": {"On"}}, nil); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(answer); string(text) != "half" || api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("what fails later: %q, %v", text, err)
	}
	answer.Close()
	level.Returned(t)
	if _, err := m.Act(t.Context(), m.Epoch(), 1, "stray", nil, nil); api.CodeFrom(err) != api.CodeInternal {
		t.Errorf("a machine that is none of the service: %v", err)
	}
	if _, err := m.Act(t.Context(), m.Epoch(), 9, "turn", nil, nil); api.CodeFrom(err) != api.CodeNotFound {
		t.Errorf("an unknown service: %v", err)
	}
	second.Disconnect()
	m.AwaitKnown("the machine is gone", func(k managertest.Known) bool { return !k.Nodes["n2"].Connected })
	if _, err := m.Act(t.Context(), m.Epoch(), 1, "turn", nil, nil); api.CodeFrom(err) != api.CodeUnavailable {
		t.Errorf("a silent machine: %v", err)
	}
}
