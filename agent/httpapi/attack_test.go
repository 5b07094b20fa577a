package httpapi_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"conpaas/agent/agenttest"
	"conpaas/agent/httpapi"
	"conpaas/client/wire/wiretest"
)

var few = flag.Int("few", 6, "how many hostile values are tried in each place; 0: all")

func TestMain(m *testing.M) {
	agenttest.Main()
	os.Exit(m.Run())
}

// Whatever a manager sends, the agent answers what is wrong with it, keeps nothing of it, and goes on.
func TestHostileManager(t *testing.T) {
	const node, port = "n2", 8080
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	a := agenttest.Start(t, p, agenttest.Options{Node: node})
	p.AwaitConnected(t, node)
	spec := p.Spec(t, node, "Hello", port)
	epoch := p.Epoch()
	if err := p.Client(node).PutSpec(t.Context(), epoch, spec); err != nil {
		t.Fatal(err)
	}
	p.AwaitReady(t, node, 1)
	document, err := httpapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	peers := `{"from":1,"to":2,"set":[{"node":"n3","key":"` + strings.Repeat("A", 43) + `=","address":"172.16.0.3","endpoint":"10.0.0.1:51820"}],"remove":["n4"]}`
	level := wiretest.Measure()
	epoch = wiretest.Child{
		Client: p.Wire(node), Document: document, Few: *few, Epoch: epoch, Private: []string{a.Root},
		Values: map[string]string{"name": "agent", "action": "dump", "sha256": strings.Repeat("a", 64)},
		Bodies: map[string]string{
			"put-spec": string(body), "exec": `{"command":["true"]}`, "patch-peers": peers, "put-trust": `{"trust":"a"}`, "put-names": `{"names":[]}`,
		},
	}.Attack(t)
	level.Returned(t)
	spec.Revision = 1 << 40
	if err := p.Client(node).PutSpec(t.Context(), epoch, spec); err != nil {
		t.Fatal(err)
	}
	p.AwaitReady(t, node, spec.Revision)
}
