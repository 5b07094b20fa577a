package store

import (
	"errors"
	"net/netip"
	"os"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirectory); dir != "" {
		crashWriter(dir, os.Getenv(crashPoint))
	}
	os.Exit(m.Run())
}

func openStore(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func update(t testing.TB, s *Store, fn func(tx *Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), "test", fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, s *Store, fn func(r *Read) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// updateFails runs fn in a transaction that must fail with want.
func updateFails(t testing.TB, s *Store, want error, fn func(tx *Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), "test", fn); !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// small is a network of 4 services of 7 agents.
func small(owner api.UserID, name string) NewApplication {
	return NewApplication{Owner: owner, Name: name, Cloud: "default", Prefix: netip.MustParsePrefix("10.9.8.0/27"), ServiceBits: 2}
}

// running makes a user with an application that is wanted running and one started service.
func running(t testing.TB, s *Store, name string) (a Application, service Service) {
	t.Helper()
	update(t, s, func(tx *Tx) error {
		u, err := tx.CreateUser(User{Name: "owner of " + name, Role: api.RoleUser, Credit: 1_000_000})
		if err != nil {
			return err
		}
		if a, err = tx.CreateApplication(small(u.ID, name)); err != nil {
			return err
		}
		if service, err = startedService(tx, a.ID, "web"); err != nil {
			return err
		}
		a, err = tx.SetApplicationWanted(a.ID, ApplicationRunning)
		return err
	})
	return a, service
}

func startedService(tx *Tx, application api.ApplicationID, name string) (Service, error) {
	service, err := tx.CreateService(application, NewService{Type: "helloworld", Name: name, Cloud: "default", Nodes: map[api.Role]int{"node": 1}})
	if err != nil {
		return Service{}, err
	}
	return tx.SetServiceWanted(application, service.ID, ServiceStarted)
}

func reserve(t testing.TB, s *Store, service Service, count int) (nodes []Node) {
	t.Helper()
	update(t, s, func(tx *Tx) (err error) {
		nodes, err = tx.ReserveNodes(Reservation{Application: service.Application, Service: service.ID, Role: "node", Cloud: "default", Count: count})
		return err
	})
	return nodes
}

// step applies events one after another.
func step(t testing.TB, s *Store, id api.NodeID, c NodeChange, events ...life.NodeEvent) (n Node) {
	t.Helper()
	for _, e := range events {
		update(t, s, func(tx *Tx) (err error) {
			n, err = tx.Step(id, e, c)
			return err
		})
	}
	return n
}

// joined brings a wanted node to ready as machine m with a key of its own.
func ready(t testing.TB, s *Store, id api.NodeID) Node {
	t.Helper()
	c := NodeChange{Machine: "m-" + string(id), CSRKey: "key-" + string(id), OverlayKey: api.OverlayKey("overlay-" + id), Address: netip.MustParseAddr("10.210.0.9")}
	return step(t, s, id, c, life.NodeLaunch, life.NodeLaunched, life.NodeJoined, life.NodeReady)
}

// clock is a time that a test sets.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time { return c.now }
