package app

import (
	"log/slog"
	"testing"

	"conpaas/client/api"
	"conpaas/director/store"
)

// What people see of something that runs does not change because nothing has been heard of it yet, only when its manager
// has been silent for long (which makes that unreachable) or says something else.
func TestShownStatesWaitForNews(t *testing.T) {
	w := newWorker(t.Context(), &Director{log: slog.New(slog.DiscardHandler)}, 1)
	for name, c := range map[string]struct {
		manager              api.NodeState
		seen                 observed
		application, service api.State
	}{
		"nothing is connected":       {api.NodeReady, observed{}, api.StateRunning, api.StateRunning},
		"its manager is silent":      {api.NodeUnreachable, observed{}, api.StateAdapting, api.StateRunning},
		"its manager is another one": {api.NodeBooting, observed{}, api.StateAdapting, api.StateRunning},
		"it has said nothing":        {api.NodeReady, observed{node: "n1"}, api.StateRunning, api.StateRunning},
		"it is behind": {
			api.NodeReady,
			observed{node: "n1", revision: 4, services: map[api.ServiceID]api.ServiceStatus{1: {State: api.StateRunning}}},
			api.StateRunning, api.StateAdapting,
		},
		"it says more": {
			api.NodeReady,
			observed{node: "n1", revision: 5, services: map[api.ServiceID]api.ServiceStatus{1: {State: api.StateError}}},
			api.StateRunning, api.StateError,
		},
	} {
		s := &snapshot{
			application: store.Application{ID: 1, Wanted: store.ApplicationRunning, State: api.StateRunning, Revision: 5},
			nodes:       []store.Node{{ID: "n1", State: c.manager}},
		}
		service := store.Service{ID: 1, Wanted: store.ServiceStarted, State: api.StateRunning}
		if state, reason := w.applicationState(s, c.seen); state != c.application {
			t.Errorf("%s: the application is %s (%s), want %s", name, state, reason, c.application)
		}
		if state, reason := w.serviceState(s, service, 1, c.seen); state != c.service {
			t.Errorf("%s: the service is %s (%s), want %s", name, state, reason, c.service)
		}
	}
}
