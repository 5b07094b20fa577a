package app

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/director/store"
)

// scaled makes a php service with one proxy, and an operation that has added machines of every role.
func scaled(t *testing.T, tx *store.Tx) (s store.Service, op store.Operation, err error) {
	t.Helper()
	user, err := tx.CreateUser(store.User{Name: "alice", Role: api.RoleUser})
	if err != nil {
		return s, op, err
	}
	a, err := tx.CreateApplication(store.NewApplication{Owner: user.ID, Name: "shop", Cloud: "default", Prefix: netip.MustParsePrefix("172.16.0.0/12"), ServiceBits: 5})
	if err != nil {
		return s, op, err
	}
	nodes := map[api.Role]int{api.RoleProxy: 2, api.RoleWeb: 1, api.RoleBackend: 2}
	if s, err = tx.CreateService(a.ID, store.NewService{Type: api.PHP, Name: "php", Cloud: "default", Code: api.CodeDefault, Nodes: nodes}); err != nil {
		return s, op, err
	}
	added := map[api.Role]int{api.RoleProxy: 1, api.RoleWeb: 1, api.RoleBackend: 2}
	op, err = tx.CreateOperation(store.NewOperation{Kind: api.OpAddNodes, Owner: user.ID, Application: a.ID, Service: s.ID, Params: params(nodesParams{Nodes: added})})
	return s, op, err
}

// A service that goes without the only machine of a role goes without a second proxy as well, and says so.
func TestGoingWithoutKeepsWhatWorks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		without map[api.Role]int
		proxies int
		lost    map[api.Role]int
	}{
		{map[api.Role]int{api.RoleBackend: 1}, 2, map[api.Role]int{api.RoleBackend: 1}},
		{map[api.Role]int{api.RoleBackend: 2}, 1, map[api.Role]int{api.RoleBackend: 2, api.RoleProxy: 1}},
		{map[api.Role]int{api.RoleWeb: 1}, 1, map[api.Role]int{api.RoleWeb: 1, api.RoleProxy: 1}},
		{map[api.Role]int{api.RoleProxy: 1}, 1, map[api.Role]int{api.RoleProxy: 1}},
	} {
		db, err := store.Open(t.Context(), t.TempDir(), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(t.Context(), "test", func(tx *store.Tx) error {
			s, op, err := scaled(t, tx)
			if err != nil {
				return err
			}
			if err := goWithout(tx, s.Application, s.ID, c.without, "no room"); err != nil {
				return err
			}
			s, err = tx.Service(s.Application, s.ID)
			if err != nil {
				return err
			}
			if op, err = tx.Operation(op.ID); err != nil {
				return err
			}
			got, _ := json.Marshal(lost(op))
			want, _ := json.Marshal(c.lost)
			if s.Nodes[api.RoleProxy] != c.proxies || string(got) != string(want) {
				t.Errorf("without %v: %v is wanted, %s is lost, want %s; %v", c.without, s.Nodes, got, want, op.Steps)
			}
			return checkRoles(s)
		})
		if err := errors.Join(err, db.Close()); err != nil {
			t.Errorf("without %v: %v", c.without, err)
		}
	}
}

// An operation whose version gets requests is not cancelled, whatever else is still to be done for it.
func TestServingVersionIsNotCancelled(t *testing.T) {
	t.Parallel()
	db, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &Director{store: db}
	var user store.User
	var operation store.Operation
	err = db.Update(t.Context(), "test", func(tx *store.Tx) error {
		s, op, err := scaled(t, tx)
		if err != nil {
			return err
		}
		v, err := tx.AddCodeVersion(store.CodeVersion{Application: s.Application, Service: s.ID, ID: "code-abc234", SHA256: "00", Format: "zip"})
		if err == nil {
			_, err = tx.SetCodeWanted(s.Application, s.ID, v.ID)
		}
		if err == nil {
			_, err = tx.CodeServes(s.Application, s.ID, v.ID)
		}
		if err != nil {
			return err
		}
		user.ID = op.Owner
		operation, err = tx.CreateOperation(store.NewOperation{
			Kind: api.OpServiceCode, Owner: op.Owner, Application: s.Application, Service: s.ID, Params: params(codeParams{Version: v.ID}),
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.CancelOperation(t.Context(), Actor{ID: user.ID}, operation.ID)
	if api.CodeFrom(err) != api.CodeConflict || !strings.Contains(err.Error(), "code-abc234 gets requests already") {
		t.Errorf("it is cancelled: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}
