package app

import (
	"encoding/json"
	"errors"
	"net/netip"
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
