package httpapi_test

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/client/wire/wiretest"
	"conpaas/manager/httpapi"
	"conpaas/manager/managertest"
)

var few = flag.Int("few", 6, "how many hostile values are tried in each place; 0: all")

// Whatever a director sends, the manager answers what is wrong with it, keeps nothing of it, and goes on.
func TestHostileDirector(t *testing.T) {
	d := managertest.NewDirector(t)
	m := d.StartManager("n1000", managertest.Application, managertest.Timing())
	agent := d.NewAgent("n1", managertest.Application, 1, 1)
	spec := api.ManagerSpec{
		Application: api.ApplicationSpec{
			ID: managertest.Application, Name: "a", Revision: 1, Network: managertest.Network(),
			Services: []api.ServiceSpec{{ID: 1, Type: api.Helloworld, Name: "hello", Nodes: map[api.Role]int{api.HelloworldNode: 1}}},
		},
		Nodes: []api.NodeInfo{agent.Info},
	}
	m.Put(spec)
	agent.Connect(m)
	m.Watch()
	m.AwaitSettled(1)
	document, err := httpapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	level := wiretest.Measure()
	epoch := wiretest.Child{
		Client: d.Wire("n1000"), Document: document, Few: *few, Epoch: m.Epoch(), Private: []string{m.Root},
		Values: map[string]string{"node": "n1", "service": "1", "action": "dump", "sha256": strings.Repeat("a", 64)},
		Bodies: map[string]string{"put-application": string(body), "exec": `{"command":["true"]}`},
	}.Attack(t)
	level.Returned(t)
	m.SetEpoch(epoch)
	spec.Application.Revision = epoch.Revision
	m.Put(spec)
	m.AwaitSettled(epoch.Revision)
}
