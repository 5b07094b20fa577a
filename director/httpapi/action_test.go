package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/wire"
	"conpaas/client/wire/wiretest"
	"conpaas/director/app"
	"conpaas/director/directortest"
	"conpaas/director/store"
)

// large is more than may be in memory.
const large = 200 << 20

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }

// onManager has the managers do actions as f says, by the routes that a manager has.
func (w *world) onManager(f func(w http.ResponseWriter, r *http.Request, path func(string) string) error) {
	a := wire.NewAPI(wire.Options{
		Title: "manager", Version: "test", Log: slog.New(slog.DiscardHandler),
		Authenticate: func(*http.Request) (wire.Caller, error) { return wire.Caller{Kind: wire.KindDirector}, nil },
	})
	all := wire.Rule{Name: "director", Allow: func(context.Context, wire.Caller, func(string) string) error { return nil }}
	a.Raw(wire.Route{
		Method: "POST", Path: "/v1/services/{service}/actions/{action}", ID: "act", MaxBody: api.MaxActionInput, Body: wire.Bytes{}, Idle: time.Minute, Told: true,
		Query: []wire.Query{wire.QueryOthers("params", "")},
	}, all, f)
	w.Cloud.Answer(a.Handler().ServeHTTP)
}

// as gives the client of a user.
func (w *world) as(t *testing.T, name string) *director.Client {
	t.Helper()
	c, err := director.New(director.Config{URL: w.URL, CA: w.CA(), Token: w.callers[name].token})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// actionEnded checks the operation of an action, which has ended.
func actionEnded(t *testing.T, c *director.Client, id api.OperationID, state api.OperationState, says string) {
	t.Helper()
	op, err := c.Operation(t.Context(), id)
	text := ""
	if op.Error != nil {
		text = op.Error.Detail
	}
	if err != nil || op.Kind != api.OpServiceAction || op.State != state || !strings.Contains(text, says) {
		t.Errorf("operation %s is %s %s: %q, %v; want %s: %s", id, op.Kind, op.State, text, err, state, says)
	}
}

// Streams of any length go through the director both ways and stay nowhere; who did what is on record.
func TestActions(t *testing.T) {
	w := newWorld(t)
	asked := make(chan string, 1)
	w.onManager(func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
		switch path("action") {
		case "dump":
			_, err := io.Copy(wire.NewOutput(w), io.LimitReader(zeroes{}, large))
			return err
		case "turn":
			_, err := io.Copy(wire.NewOutput(w), r.Body)
			return err
		}
		n, err := io.Copy(io.Discard, r.Body)
		asked <- fmt.Sprintf("%s %d %s", path("service"), n, r.URL.RawQuery)
		if r.URL.Query().Get(api.ParamNew) == "On" {
			w.Header().Set(api.HeaderSkipped, "it is there")
		}
		return err
	})
	c, level := w.as(t, "operator"), wiretest.Measure()
	for params, want := range map[string]string{"": fmt.Sprintf("1 %d new=Off", large), "new=on": fmt.Sprintf("1 %d new=On", large)} {
		given, _ := url.ParseQuery(params)
		done, err := c.Act(t.Context(), "1", "hello", "load", given, io.LimitReader(zeroes{}, large))
		if err != nil {
			t.Fatal(err)
		}
		done.Close()
		if got := <-asked; got != want || (done.Skipped == "it is there") != (params != "") {
			t.Errorf("the manager was asked for %s and has said %q; want %s", got, done.Skipped, want)
		}
		actionEnded(t, c, done.Operation, api.OperationSucceeded, "")
	}
	dump, err := c.Act(t.Context(), "1", "1", "dump", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, dump); err != nil || n != large {
		t.Errorf("%d bytes came, %v", n, err)
	}
	dump.Close()
	actionEnded(t, c, dump.Operation, api.OperationSucceeded, "")
	both, err := c.Act(t.Context(), "1", "1", "turn", nil, io.LimitReader(zeroes{}, large))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, both); err != nil || n != large {
		t.Errorf("%d bytes came back, %v", n, err)
	}
	both.Close()
	level.Returned(t)
	list, err := w.Events(t.Context(), app.Actor{ID: 2, Name: "owner"}, "1", app.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, e := range list.Items {
		if e.Kind == "service.action" {
			told = append(told, e.Text)
		}
	}
	text := strings.Join(told, "\n")
	for _, want := range []string{"load has been begun by operator", "load has done nothing: it is there", "dump has ended", fmt.Sprintf("%d bytes out", large)} {
		if !strings.Contains(text, want) {
			t.Errorf("the history does not say %q:\n%s", want, text)
		}
	}
	audit, err := w.Audit(t.Context(), app.Actor{ID: 1, Name: "admin", Admin: true}, app.AuditQuery{Action: "act", User: "operator"}, app.Page{})
	if err != nil || len(audit.Items) != 4 || !strings.Contains(audit.Items[0].Object, "action turn") {
		t.Errorf("the audit log has %+v, %v", audit.Items, err)
	}
}

// What goes wrong reaches the caller with its reason, and output that is not all there never looks as if it were.
func TestActionsThatFail(t *testing.T) {
	w := newWorld(t)
	c := w.as(t, "owner")
	for action, code := range map[string]api.Code{"nothing": api.CodeNotFound} {
		if _, err := c.Act(t.Context(), "1", "1", action, nil, nil); api.CodeFrom(err) != code {
			t.Errorf("action %s: %v", action, err)
		}
	}
	if _, err := c.Act(t.Context(), "1", "1", "dump", nil, strings.NewReader("x")); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("a body that is not wanted: %v", err)
	}
	for _, params := range []url.Values{{"old": {"On"}}, {"new": {"perhaps"}}} {
		if _, err := c.Act(t.Context(), "1", "1", "load", params, nil); api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("%v: %v", params, err)
		}
	}
	if _, err := w.as(t, "viewer").Act(t.Context(), "1", "1", "dump", nil, nil); api.CodeFrom(err) != api.CodeForbidden {
		t.Errorf("a viewer: %v", err)
	}
	for name, test := range map[string]struct {
		manager func(w http.ResponseWriter, r *http.Request, path func(string) string) error
		begun   bool
		code    api.Code
		says    string
	}{
		"refused": {func(http.ResponseWriter, *http.Request, func(string) string) error {
			return api.Errorf(api.CodeThrottled, "another action runs")
		}, false, api.CodeThrottled, "another action"},
		"fails later": {func(w http.ResponseWriter, _ *http.Request, _ func(string) string) error {
			return half(w, api.Errorf(api.CodeConflict, "Lost connection"))
		}, true, api.CodeConflict, "Lost connection"},
		"breaks off": {func(w http.ResponseWriter, _ *http.Request, _ func(string) string) error {
			_ = half(w, nil)
			panic(http.ErrAbortHandler)
		}, true, api.CodeUnavailable, "broken its answer off"},
		"internal": {func(w http.ResponseWriter, _ *http.Request, _ func(string) string) error {
			return half(w, errors.New("hunter2"))
		}, true, api.CodeInternal, "log"},
	} {
		w.onManager(test.manager)
		dump, err := c.Act(t.Context(), "1", "1", "dump", nil, nil)
		if !test.begun {
			if api.CodeFrom(err) != test.code || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text, err := io.ReadAll(dump); err == nil || string(text) != "half" {
			t.Errorf("%s: the output is %q, %v", name, text, err)
		}
		dump.Close()
		actionEnded(t, c, dump.Operation, api.OperationFailed, test.says)
		if op, err := c.Operation(t.Context(), dump.Operation); err != nil || op.Error.Code != test.code || strings.Contains(fmt.Sprint(op), "hunter2") {
			t.Errorf("%s: %+v, %v", name, op, err)
		}
	}
}

func half(w http.ResponseWriter, err error) error {
	_, broken := io.WriteString(wire.NewOutput(w), "half")
	return errors.Join(broken, err)
}

// An action ends with its caller, with its operation and with the share of its caller; what is left of it is an operation that says so.
func TestActionsEnd(t *testing.T) {
	w := newWorld(t)
	begun, gone := make(chan struct{}, 1), make(chan error, 1)
	w.onManager(func(w http.ResponseWriter, r *http.Request, path func(string) string) error {
		var err error
		if path("action") == "dump" {
			if err = half(w, nil); err == nil {
				begun <- struct{}{}
				<-r.Context().Done()
				err = r.Context().Err()
			}
		} else {
			begun <- struct{}{}
			_, err = io.Copy(io.Discard, r.Body)
		}
		gone <- err
		return err
	})
	owner := w.as(t, "owner")
	last := func() api.Operation {
		t.Helper()
		list, err := w.Operations(t.Context(), app.Actor{ID: 2, Name: "owner"}, "1", app.Page{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		var newest api.Operation
		for _, op := range list.Items {
			if op.Kind == api.OpServiceAction && !op.Created.Before(newest.Created) {
				newest = op
			}
		}
		return newest
	}
	for name, test := range map[string]struct {
		end   func(cancel func(), op api.OperationID)
		state api.OperationState
	}{
		"caller": {func(cancel func(), _ api.OperationID) { cancel() }, api.OperationFailed},
		"cancelled": {func(_ func(), op api.OperationID) {
			if _, err := owner.CancelOperation(t.Context(), op); err != nil {
				t.Error(err)
			}
		}, api.OperationCancelled},
		"share": {func(func(), api.OperationID) {
			if _, err := w.ShareApplication(t.Context(), app.Actor{ID: 2, Name: "owner"}, "1", operatorUser, api.ShareChange{Level: api.ShareView}, "127.0.0.1"); err != nil {
				t.Error(err)
			}
		}, api.OperationFailed},
	} {
		for _, action := range []string{"dump", "load"} {
			if _, err := w.ShareApplication(t.Context(), app.Actor{ID: 2, Name: "owner"}, "1", operatorUser, api.ShareChange{Level: api.ShareOperate}, "127.0.0.1"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var in io.Reader
			if action == "load" {
				in, _ = io.Pipe() // nothing comes
			}
			done := make(chan error, 1)
			go func() {
				got, err := w.as(t, "operator").Act(ctx, "1", "1", action, nil, in)
				if err == nil {
					_, err = io.Copy(io.Discard, got)
					got.Close()
				}
				done <- err
			}()
			select {
			case <-begun:
			case err := <-done:
				t.Fatalf("%s, %s: it has not begun: %v", name, action, err)
			}
			op := last()
			if op.State != api.OperationRunning {
				t.Errorf("%s, %s: the operation is %+v", name, action, op)
			}
			test.end(cancel, op.ID)
			if err, left := <-done, <-gone; err == nil || left == nil {
				t.Errorf("%s, %s: the caller has %v, the manager %v", name, action, err, left)
			}
			cancel()
			directortest.Await(t, 20*time.Second, "the operation ends", func() error {
				if now := last(); now.ID != op.ID || now.State != test.state {
					return fmt.Errorf("%s, %s: it is %+v", name, action, now)
				}
				return nil
			})
		}
	}
}

// What a director that has died has left running is ended by the next one.
func TestActionsOfADeadDirector(t *testing.T) {
	dir := t.TempDir()
	w := newWorldIn(t, dir)
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var op store.Operation
	err = db.Update(t.Context(), "test", func(tx *store.Tx) error {
		op, err = tx.CreateOperation(store.NewOperation{Kind: api.OpServiceAction, Application: 1, Service: 1})
		return err
	})
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	d := directortest.Start(t, directortest.Options{Dir: dir, Cloud: w.Cloud, Other: w.other})
	directortest.Await(t, 20*time.Second, "the operation ends", func() error {
		now, err := d.Operation(t.Context(), app.Actor{ID: 2, Name: "owner"}, op.ID)
		if err == nil && now.State != api.OperationFailed {
			err = fmt.Errorf("it is %s", now.State)
		}
		return err
	})
}

// A secret of a type can be replaced by who operates the application, where the type lets it; nobody sees it.
func TestSettableSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const secret = "N3w-pass%word"
	c := w.as(t, "operator")
	for name, test := range map[string]struct {
		secret, value string
		code          api.Code
	}{
		"short":         {"password", "1234567", api.CodeInvalid},
		"long":          {"password", strings.Repeat("x", 129), api.CodeInvalid},
		"blank":         {"password", "two words", api.CodeInvalid},
		"quote":         {"password", "it's-mine", api.CodeInvalid},
		"no ASCII":      {"password", "pässword", api.CodeInvalid},
		"control":       {"password", "pass\nword", api.CodeInvalid},
		"not settable":  {"own", secret, api.CodeNotFound},
		"not of a type": {"other", secret, api.CodeNotFound},
	} {
		if _, err := c.SetSecret(t.Context(), "1", "1", test.secret, api.Secret(test.value)); api.CodeFrom(err) != test.code || strings.Contains(err.Error(), test.value) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := w.as(t, "viewer").SetSecret(t.Context(), "1", "1", "password", secret); api.CodeFrom(err) != api.CodeForbidden {
		t.Errorf("a viewer: %v", err)
	}
	before := w.Cloud.Spec(1).Application.Services[0].Secrets
	op, err := c.SetSecret(t.Context(), "1", "1", "password", secret)
	if err != nil {
		t.Fatal(err)
	}
	directortest.Await(t, 20*time.Second, "the operation ends", func() error {
		now, err := c.Operation(t.Context(), op.ID)
		if err == nil && now.State != api.OperationSucceeded {
			err = fmt.Errorf("it is %s", now.State)
		}
		return err
	})
	after := w.Cloud.Spec(1).Application.Services[0].Secrets
	if after["password"].Reveal() != secret || before["own"].Reveal() != after["own"].Reveal() || before["password"].Reveal() == secret || len(after) != 2 {
		t.Errorf("the manager has %q and %q, and had %q", after["password"].Reveal(), after["own"].Reveal(), before["password"].Reveal())
	}
	audit, err := w.Audit(t.Context(), app.Actor{ID: 1, Name: "admin", Admin: true}, app.AuditQuery{Action: "set-service-secret", User: "operator"}, app.Page{})
	text := fmt.Sprintf("%+v", audit.Items)
	if err != nil || !strings.Contains(text, "secret password") || strings.Contains(text, secret) || strings.Contains(text, before["password"].Reveal()) {
		t.Errorf("the audit log has %s, %v", text, err)
	}
	var shown bytes.Buffer
	fmt.Fprintf(&shown, "%+v", must(c.Service(t.Context(), "1", "1")))
	if strings.Contains(shown.String(), secret) {
		t.Errorf("the service shows its secret: %s", shown.String())
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
