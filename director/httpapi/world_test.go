package httpapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"conpaas/certs/ca"
	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/app"
	"conpaas/director/directortest"
	"conpaas/director/httpapi"
)

const deployment = "conpaas"

// The ids of what a world holds. The database numbers from 1; newWorld sees that they are right.
const (
	ownUser        = "2"
	operatorUser   = "5"
	ownToken       = "robot"
	ownCertificate = "spare"
	ownApplication = "1"
	ownService     = "1"
	ownManager     = "n1"
	ownAgent       = "n2"
	goneNode       = "n99"
	ownVolume      = "v1"
)

// world is a running director with an application that is all there, and everybody who may try to call it.
type world struct {
	*directortest.Director
	other     *directortest.Cloud // on which nothing is
	authority *ca.Authority
	callers   map[string]*caller
	tokens    map[string]api.Secret // another token of each user, to be logged out
	operation string                // one that has ended, of the owner
}

// newWorld prepares the data folder of a director, with an authority whose key the test knows, starts it, and has the
// owner start an application with one service.
func newWorld(t *testing.T, relays ...api.Relay) *world {
	t.Helper()
	return newWorldIn(t, t.TempDir(), relays...)
}

// newWorldIn is newWorld in an empty data folder.
func newWorldIn(t *testing.T, dir string, relays ...api.Relay) *world {
	t.Helper()
	w := &world{other: directortest.NewCloud(), callers: map[string]*caller{}, tokens: map[string]api.Secret{}}
	long := time.Now().Add(-40 * 24 * time.Hour) // certificates that have expired lately must have been valid once
	w.authority = newAuthority(t, long)
	w.prepare(t, dir, long)
	w.Director = directortest.Start(t, directortest.Options{Dir: dir, Other: w.other, Relays: relays, Kinds: kinds()})
	w.Cloud.Answer(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/actions/") {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		http.NotFound(w, r)
	})
	owner := app.Actor{ID: 2, Name: "owner"}
	w.populate(t, owner)
	return w
}

// kinds is the catalogue, in which helloworld has actions and a secret as well.
func kinds() []api.ServiceKind {
	all := api.Catalogue()
	for i := range all {
		if all[i].Type == api.Helloworld {
			all[i].Secrets = []api.SecretKind{{Name: "password", Settable: true}, {Name: "own"}}
			all[i].Actions = []api.ActionKind{
				{Name: "dump", Role: api.HelloworldNode, Output: true},
				{Name: "load", Role: api.HelloworldNode, Input: true, Params: []api.Setting{{Name: api.ParamNew, Default: "Off", Kind: api.SettingSwitch}}},
				{Name: "turn", Role: api.HelloworldNode, Input: true, Output: true},
			}
		}
	}
	return all
}

// populate makes the owner's application, waits until it runs, and checks the ids that the tests use.
func (w *world) populate(t *testing.T, owner app.Actor) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	application, err := w.CreateApplication(t.Context(), owner, api.ApplicationCreate{Name: "shop"})
	must(err)
	service, err := w.AddService(t.Context(), owner, "shop", api.ServiceCreate{Type: api.Helloworld, Name: "hello"})
	must(err)
	op, err := w.StartService(t.Context(), owner, "shop", "hello")
	must(err)
	directortest.Await(t, 30*time.Second, "the service runs", func() error {
		now, err := w.Operation(t.Context(), owner, op.ID)
		if err == nil && now.State != api.OperationSucceeded {
			err = fmt.Errorf("the operation is %s: %s", now.State, now.Progress)
		}
		return err
	})
	for user, level := range map[string]api.ShareLevel{"viewer": api.ShareView, operatorUser: api.ShareOperate} {
		_, err := w.ShareApplication(t.Context(), owner, "shop", user, api.ShareChange{Level: level}, "127.0.0.1")
		must(err)
	}
	_, err = w.CreateVolume(t.Context(), owner, "shop", api.VolumeCreate{Name: "files", SizeMiB: 16})
	must(err)
	directortest.Await(t, 30*time.Second, "the volume is there", func() error {
		v, err := w.Volume(t.Context(), owner, "shop", "files")
		if err == nil && (v.State != api.VolumeAvailable || v.ID != ownVolume) {
			err = fmt.Errorf("volume %s is %s", v.ID, v.State)
		}
		return err
	})
	nodes, err := w.ApplicationNodes(t.Context(), owner, "shop")
	must(err)
	w.operation = string(op.ID)
	if application.ID.String() != ownApplication || service.ID.String() != ownService || len(nodes) != 2 ||
		nodes[0].ID != ownManager || nodes[0].Service != 0 || nodes[1].ID != ownAgent {
		t.Fatalf("application %s, service %s, nodes %+v: the test expects other ids", application.ID, service.ID, nodes)
	}
	for _, c := range w.callers {
		t.Cleanup(c.client.CloseIdleConnections)
	}
}

// routes is the route table of the director.
func (w *world) routes() []wire.RouteInfo {
	return httpapi.New(w.Director.Director, slog.New(slog.DiscardHandler)).Routes()
}

// valuesOf are values for a route: the user of a share is the operator.
func (w *world) valuesOf(r routeInfo) map[string]string {
	values := w.values()
	if strings.Contains(r.Path, "{application}") {
		values["user"] = operatorUser
	}
	return values
}

// values are those of the parameters of paths that name what the owner has.
func (w *world) values() map[string]string {
	return map[string]string{
		"user": ownUser, "token": ownToken, "certificate": ownCertificate, "application": ownApplication, "service": ownService, "node": ownAgent, "operation": w.operation, "volume": ownVolume, "orphan": "v99",
		"cloud": "default", "image": "i1", "version": w.Code().Pin().Version, "arch": "x86_64", "program": "cpsagent", "action": "dump", "command": "run", "secret": "password", "sha256": strings.Repeat("a", 64),
	}
}
