package e2e

import (
	"os"
	"path/filepath"
	"testing"

	agentservices "conpaas/agent/services"
	"conpaas/client/api"
	managerservices "conpaas/manager/services"
)

// Every service type of the catalogue has all its pieces (docs/contributing/service.md).
func TestArchitectureServiceTypes(t *testing.T) {
	agents, managers := agentservices.All(), managerservices.Halves()
	for _, kind := range api.Catalogue() {
		name := string(kind.Type)
		if agents[kind.Type] == nil {
			t.Errorf("service type %s has no row in agent/services/services.go", name)
		}
		if managers[kind.Type] == nil {
			t.Errorf("service type %s has no row in manager/services/services.go", name)
		}
		if kind.Hosting && !kind.Code {
			t.Errorf("service type %s is a hosting type, and runs no uploaded code", name)
		}
		for _, piece := range []string{
			"client/api/" + name + ".go", "manager/services/" + name, "agent/services/" + name, "client/command/" + name + ".go",
			"docs/services/" + name + ".md", "client/e2e/testdata/container/" + name + ".txtar",
		} {
			if _, err := os.Stat(filepath.Join(top, piece)); err != nil {
				t.Errorf("service type %s has no %s", name, piece)
			}
		}
		delete(agents, kind.Type)
		delete(managers, kind.Type)
	}
	for name := range agents {
		t.Errorf("agent/services has a half of type %s, which is not in the catalogue", name)
	}
	for name := range managers {
		t.Errorf("manager/services has a half of type %s, which is not in the catalogue", name)
	}
}
