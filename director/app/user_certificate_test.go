package app_test

import (
	"context"
	"net/http/httptrace"
	"sync"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/director/app"
	"conpaas/director/directortest"
)

// session gives a client that is logged in.
func session(t *testing.T, d *directortest.Director, name string, password api.Secret) *director.Client {
	t.Helper()
	return must[*director.Client](t)(director.New(director.Config{URL: d.URL, CA: d.CA(), Token: tokenOf(t, d, name, password)}))
}

// certified gets a certificate and gives a client that calls by it.
func certified(t *testing.T, d *directortest.Director, name, certificate string) (*director.Client, director.KeyFile) {
	t.Helper()
	f := must[director.KeyFile](t)(session(t, d, name, secret).CreateCertificate(t.Context(), certificate, 24*time.Hour))
	return by(t, d, f), f
}

func by(t *testing.T, d *directortest.Director, f director.KeyFile) *director.Client {
	t.Helper()
	return must[*director.Client](t)(director.New(director.Config{URL: d.URL, CA: d.CA(), Key: f.PEM}))
}

// reused gives a context whose next call is an error of the test where it opens a connection.
func reused(t *testing.T) context.Context {
	return httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) {
		if !c.Reused {
			t.Error("the call has opened another connection")
		}
	}})
}

// A certificate opens what a token opens. It makes nothing that outlives it but its own renewal.
func TestCertificatesOfUsers(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	user(t, d, "alice")
	c, f := certified(t, d, "alice", "laptop")
	if me := must[api.User](t)(c.Me(ctx)); me.Name != "alice" {
		t.Errorf("the certificate is that of %+v", me)
	}
	must[api.Application](t)(c.CreateApplication(ctx, api.ApplicationCreate{Name: "shop"}))
	made := must[api.List[api.AuditEntry]](t)(d.Audit(ctx, d.Admin(), app.AuditQuery{Action: "create-application"}, app.Page{}))
	if want := "certificate " + f.Serial + " laptop"; len(made.Items) != 1 || made.Items[0].Credential != want {
		t.Errorf("the audit log says %+v, want it to be by %q", made.Items, want)
	}
	_, err := c.CreateToken(ctx, api.TokenCreate{Name: "ci"})
	fails(t, err, api.CodeForbidden, "a certificate makes no tokens")
	_, err = c.CreateCertificate(ctx, "other", time.Hour)
	fails(t, err, api.CodeForbidden, "no other certificates")
	_, err = c.Users(ctx)
	fails(t, err, api.CodeForbidden, "administrator")
	fails(t, c.ChangePassword(ctx, "me", api.PasswordChange{New: other}), api.CodeInvalid, "old: ")
	_, err = session(t, d, "alice", secret).CreateCertificate(ctx, "laptop", time.Hour)
	fails(t, err, api.CodeConflict, `certificate "laptop" exists already`)

	renewed := must[director.KeyFile](t)(c.RenewCertificate(ctx))
	if renewed.Serial == f.Serial || renewed.Expires.Sub(f.Expires).Abs() > time.Minute {
		t.Errorf("renewed as %s until %v, it was %s until %v", renewed.Serial, renewed.Expires, f.Serial, f.Expires)
	}
	list := must[[]api.UserCertificate](t)(by(t, d, renewed).UserCertificates(ctx, "me"))
	if len(list) != 2 || list[0].Serial != f.Serial || list[0].Used == nil || list[1].Name != "laptop" {
		t.Errorf("certificates %+v", list)
	}
	must[api.User](t)(c.Me(ctx))
	if err := d.RevokeCertificate(ctx, d.Admin(), "alice", "laptop"); err != nil {
		t.Fatal(err)
	}
	_, err = c.Me(reused(t)) // at once, on a connection that is open
	fails(t, err, api.CodeUnauthenticated, "revoked")
	_, err = c.RenewCertificate(reused(t))
	fails(t, err, api.CodeUnauthenticated, "revoked")
	_, err = by(t, d, renewed).Me(ctx)
	fails(t, err, api.CodeUnauthenticated, "revoked")
	listed := must[api.List[api.Certificate]](t)(d.Certificates(ctx, app.CertificateQuery{Role: "user", Revoked: true}, app.Page{}))
	if len(listed.Items) != 2 || listed.Items[0].User != "alice" || listed.Items[0].Reason != "revoked by admin" || listed.Items[0].Revoked == nil {
		t.Errorf("revoked are %+v", listed.Items)
	}
}

// Renewing for ever leaves only a few certificates that are good.
func TestRenewedCertificatesAreBounded(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice := user(t, d, "alice")
	c, first := certified(t, d, "alice", "laptop")
	for range 15 {
		must[director.KeyFile](t)(c.RenewCertificate(ctx))
	}
	list := must[api.List[api.UserCertificate]](t)(d.UserCertificates(ctx, alice, "me", app.Page{}))
	if len(list.Items) != 11 || list.Items[0].Serial != first.Serial {
		t.Errorf("%d certificates are good, the first is %s; want 11 with the calling one", len(list.Items), list.Items[0].Serial)
	}
}

func TestWhatEndsCertificates(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	for name, end := range map[string]func(a app.Actor, serial string) error{
		"serial": func(a app.Actor, serial string) error { return d.RevokeCertificate(ctx, a, "me", serial) },
		"name":   func(a app.Actor, _ string) error { return d.RevokeCertificate(ctx, a, "me", "laptop") },
		"all":    func(a app.Actor, _ string) error { return d.RevokeCertificate(ctx, d.Admin(), a.Name, "") },
		"own password": func(a app.Actor, _ string) error {
			return d.ChangePassword(ctx, a, "me", api.PasswordChange{Old: secret, New: other}, here)
		},
		"password": func(a app.Actor, _ string) error {
			return d.ChangePassword(ctx, d.Admin(), a.Name, api.PasswordChange{New: other}, here)
		},
		"disabled": func(a app.Actor, _ string) error {
			_, err := d.ChangeUser(ctx, d.Admin(), a.Name, api.UserChange{Disabled: to(true)})
			return err
		},
		"deleted": func(a app.Actor, _ string) error { return d.DeleteUser(ctx, d.Admin(), a.Name, false) },
	} {
		a := user(t, d, "user "+name)
		c, f := certified(t, d, a.Name, "laptop")
		stranger, _ := certified(t, d, user(t, d, "other "+name).Name, "laptop")
		must[api.User](t)(c.Me(ctx))
		if err := end(a, f.Serial); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err := c.Me(reused(t))
		fails(t, err, api.CodeUnauthenticated, "revoked")
		must[api.User](t)(stranger.Me(ctx))
	}
	fails(t, d.RevokeCertificate(ctx, d.Admin(), "me", "none"), api.CodeNotFound, `certificate "none"`)
}

// The old authority is not retired under certificates of users, unless it is forced; renewed ones do not count.
func TestRotationWaitsForUsers(t *testing.T) {
	d := start(t, directortest.Options{})
	ctx := t.Context()
	alice := user(t, d, "alice")
	c, old := certified(t, d, "alice", "laptop")
	_, lost := certified(t, d, "alice", "lost")
	must[api.CAState](t)(d.RotateCA(ctx, d.Admin()))
	directortest.Await(t, 20*time.Second, "the new authority signs", func() error {
		if state, err := d.Authorities(ctx); err != nil || state.Step != api.CAOverlap || state.Users != 2 {
			return api.Errorf(api.CodeConflict, "%+v, %v", state, err)
		}
		return nil
	})
	must[api.User](t)(c.Me(ctx))
	renewed := must[director.KeyFile](t)(c.RenewCertificate(ctx))
	_, err := d.RetireCA(ctx, d.Admin(), api.CARetire{})
	fails(t, err, api.CodeConflict, "vouches for 1 certificates of users")
	if err := d.RevokeCertificate(ctx, alice, "me", "lost"); err != nil {
		t.Fatal(err)
	}
	if state := must[api.CAState](t)(d.RetireCA(ctx, d.Admin(), api.CARetire{})); state.Users != 0 {
		t.Errorf("after it %d are counted", state.Users)
	}
	must[api.User](t)(by(t, d, renewed).Me(ctx))
	for _, ended := range []director.KeyFile{old, lost} {
		_, err = by(t, d, ended).Me(ctx)
		fails(t, err, api.CodeUnauthenticated, "")
	}
}

// What follows something ends at once when that which it was begun with ends: a certificate, a token or a login. What was begun
// otherwise goes on.
func TestStreamsEndWithWhatOpenedThem(t *testing.T) {
	d := start(t, directortest.Options{})
	alice := user(t, d, "alice")
	login := session(t, d, "alice", secret)
	must[api.Application](t)(login.CreateApplication(t.Context(), api.ApplicationCreate{Name: "shop"}))
	made := must[api.TokenCreated](t)(login.CreateToken(t.Context(), api.TokenCreate{Name: "ci"}))
	ci := must[*director.Client](t)(director.New(director.Config{URL: d.URL, CA: d.CA(), Token: made.Token}))
	laptop, _ := certified(t, d, "alice", "laptop")
	ends := []struct {
		name string
		of   *director.Client
		end  func(context.Context) error
	}{
		{"a revoked certificate", laptop, func(ctx context.Context) error { return d.RevokeCertificate(ctx, alice, "me", "laptop") }},
		{"a revoked token", ci, func(ctx context.Context) error { return d.RevokeToken(ctx, alice, "me", "ci") }},
		{"logging out", login, login.Logout},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second) // before they would look by themselves
	defer cancel()
	ended := make([]chan struct{}, len(ends))
	for i, e := range ends {
		begun := make(chan struct{})
		ended[i] = make(chan struct{})
		go func() {
			defer close(ended[i])
			first := sync.OnceFunc(func() { close(begun) })
			for range e.of.FollowApplicationEvents(ctx, "shop", 0) {
				first()
			}
		}()
		<-begun
	}
	for i, e := range ends {
		if err := e.end(ctx); err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		<-ended[i]
		if ctx.Err() != nil {
			t.Fatalf("the stream goes on after %s", e.name)
		}
		for j := i + 1; j < len(ends); j++ {
			select {
			case <-ended[j]:
				t.Errorf("%s ended the stream of another, before %s", e.name, ends[j].name)
			default:
			}
		}
	}
}
