package app_test

import (
	"errors"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// A user goes with its applications, wherever the director dies on the way; the account is closed from the first moment.
func TestDeleteWithApplications(t *testing.T) {
	for _, at := range []string{"", "user.deleted/before", "user.deleted/after", "node.deleted/before", "application.purged/before", "application.purged/after"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			crash := &crasher{}
			o := directortest.Options{Dir: t.TempDir(), Cloud: directortest.NewCloud(), Failpoint: crash.failpoint, Timing: app.Timing{Sweep: 20 * time.Millisecond}}
			t.Cleanup(o.Cloud.Close)
			d := must[*directortest.Director](t)(directortest.Open(t, o))
			alice := user(t, d, "alice")
			token := tokenOf(t, d, "alice", secret)
			for _, name := range []string{"shop", "blog"} {
				must[api.Application](t)(d.CreateApplication(t.Context(), alice, api.ApplicationCreate{Name: name}))
			}
			must[api.Operation](t)(d.StartApplication(t.Context(), alice, "shop"))
			directortest.Await(t, 30*time.Second, "it has a machine", func() error {
				if list, err := o.Cloud.List(t.Context()); err != nil || len(list) == 0 {
					return errors.Join(err, errCrash)
				}
				return nil
			})
			crash.at = at
			err := d.DeleteUser(t.Context(), d.Admin(), "alice", true)
			if at == "" && err != nil {
				t.Fatal(err)
			}
			if at != "" {
				directortest.Await(t, 30*time.Second, "the director crashes at "+at, func() error {
					if !crash.crashed.Load() {
						return errors.New("it lives")
					}
					return nil
				})
				_ = d.Stop()
				crash.at = ""
				crash.crashed.Store(false)
				d = must[*directortest.Director](t)(directortest.Open(t, o))
			}
			t.Cleanup(func() { _ = d.Stop() })
			if at == "user.deleted/before" {
				must[app.Actor](t)(d.Authenticate(t.Context(), token))
				if err := d.DeleteUser(t.Context(), d.Admin(), "alice", true); err != nil {
					t.Fatal(err)
				}
			}
			_, err = d.Authenticate(t.Context(), token)
			fails(t, err, api.CodeUnauthenticated, "")
			_, err = d.CreateApplication(t.Context(), alice, api.ApplicationCreate{Name: "late"})
			if code := api.CodeFrom(err); code != api.CodeConflict && code != api.CodeNotFound {
				t.Errorf("an application of a user who is being deleted: %v", err)
			}
			directortest.Await(t, 30*time.Second, "the user is gone", func() error {
				u, err := d.User(t.Context(), d.Admin(), "alice")
				switch {
				case api.CodeFrom(err) == api.CodeNotFound:
					return nil
				case err == nil && (u.Deleting == nil || !u.Disabled):
					t.Fatalf("the account is %+v", u)
				case err == nil:
					_ = d.DeleteUser(t.Context(), d.Admin(), "alice", true) // once more changes nothing
					err = errors.New(u.Deleting.Since.String())
				}
				return err
			})
			if list := must[api.List[api.Operation]](t)(d.Operations(t.Context(), alice, "", app.Page{})); len(list.Items) != 3 {
				t.Errorf("%d operations, want one start and two deletions: %+v", len(list.Items), list.Items)
			}
		})
	}
}
