package app_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/director/directortest"
)

func TestEnvironmentOfAService(t *testing.T) {
	d := directortest.Start(t, directortest.Options{})
	ctx, admin, c := t.Context(), d.Admin(), login(t, d)
	phpService(t, d)
	for _, name := range []string{"one", "two"} {
		must[api.Service](t)(d.AddService(ctx, admin, "shop", api.ServiceCreate{Type: api.Helloworld, Name: name}))
	}
	change := func(service string, in api.EnvironmentChange) error {
		op, err := c.ChangeEnvironment(ctx, "shop", service, in)
		if err == nil {
			d.Finish(t, op)
		}
		return err
	}
	accept := func(service string, in api.EnvironmentChange) {
		t.Helper()
		if err := change(service, in); err != nil {
			t.Fatalf("%s: %+v: %v", service, in, err)
		}
	}
	refuse := func(service, want string, in api.EnvironmentChange) {
		t.Helper()
		if err := change(service, in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v: %v; want %q", service, in, err, want)
		}
	}
	value := func(service, name string) string {
		t.Helper()
		for _, v := range must[api.Environment](t)(d.Environment(ctx, admin, "shop", service)).Variables {
			if v.Name == name {
				return v.Value + " " + string(v.From)
			}
		}
		return ""
	}
	accept("php", api.EnvironmentChange{Set: map[string]string{"LEVEL": "debug"}, Secrets: map[string]api.Secret{"API_KEY": "hush-hush-hush"}})
	if got := value("php", "LEVEL") + ", " + value("php", "API_KEY"); got != "debug variable, *** secret" {
		t.Error(got)
	}
	accept("php", api.EnvironmentChange{Secrets: map[string]api.Secret{"LEVEL": "hush-hush-hush"}})
	if got := value("php", "LEVEL"); got != "*** secret" {
		t.Error(got)
	}
	accept("php", api.EnvironmentChange{Unset: []string{"LEVEL"}})
	refuse("php", "no variable", api.EnvironmentChange{Unset: []string{"LEVEL"}})
	refuse("php", "at most 65536", api.EnvironmentChange{Set: map[string]string{"A": strings.Repeat("a", 40_000), "B": strings.Repeat("b", 40_000)}})
	if got := value("php", "A"); got != "" {
		t.Error("a refused change has left something")
	}

	if got := value("php", "HELLOWORLD_HOST"); got != "one.shop.internal link" {
		t.Error(got)
	}
	accept("php", api.EnvironmentChange{Link: []string{"two"}})
	if got := value("php", "HELLOWORLD_HOST") + value("php", "ONE_HELLOWORLD_HOST"); got != "two.shop.internal link" {
		t.Error(got)
	}
	refuse("php", "already", api.EnvironmentChange{Link: []string{"two"}})
	refuse("php", "no service", api.EnvironmentChange{Link: []string{"three"}})
	refuse("one", "itself", api.EnvironmentChange{Link: []string{"one"}})
	refuse("one", "offers nothing", api.EnvironmentChange{Link: []string{"php"}})
	accept("one", api.EnvironmentChange{Link: []string{"two"}})
	refuse("two", "circle", api.EnvironmentChange{Link: []string{"one"}})
	if _, err := d.RemoveService(ctx, admin, "shop", "two"); api.CodeFrom(err) != api.CodeConflict || !strings.Contains(err.Error(), "cps service unlink shop php two") {
		t.Errorf("removal of a service that is linked: %v", err)
	}
	accept("php", api.EnvironmentChange{Unlink: []string{"two"}})
	refuse("php", "not linked", api.EnvironmentChange{Unlink: []string{"two"}})
	accept("one", api.EnvironmentChange{Unlink: []string{"two"}})
	succeed(t, d)(d.RemoveService(ctx, admin, "shop", "two"))

	hidden(t, d, c, "hush-hush-hush")
}

// hidden looks for a secret in the director's files and in its audit log.
func hidden(t *testing.T, d *directortest.Director, c *director.Client, secret string) {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(d.Dir, "director.db*"))
	if err != nil || len(entries) == 0 {
		t.Fatal(entries, err)
	}
	for _, name := range entries {
		if text := must[[]byte](t)(os.ReadFile(name)); bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s has the secret in clear", name)
		}
	}
	log := must[[]byte](t)(json.Marshal(must[[]api.AuditEntry](t)(c.Audit(t.Context(), director.AuditQuery{}))))
	if bytes.Contains(log, []byte(secret)) {
		t.Errorf("the audit log has the secret: %s", log)
	}
}

func TestScriptOfAService(t *testing.T) {
	d := directortest.Start(t, directortest.Options{})
	ctx, admin, c := t.Context(), d.Admin(), login(t, d)
	phpService(t, d)
	for want, in := range map[string]api.ScriptChange{
		"is empty": {Script: " \n"}, "at most 65536": {Script: api.Secret(strings.Repeat("x", api.ScriptMax+1))}, "UTF-8": {Script: "a\x00b"}, "want 1 to": {Script: "x", Seconds: -1},
	} {
		if _, err := c.SetScript(ctx, "shop", "php", in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	if _, err := d.Script(ctx, admin, "shop", "php"); api.CodeFrom(err) != api.CodeNotFound {
		t.Error(err)
	}
	for _, text := range []api.Secret{"echo hush-hush-hush", "echo hush-hush-hush again"} {
		s := must[api.Script](t)(c.SetScript(ctx, "shop", "php", api.ScriptChange{Script: text}))
		if s.Script != text || s.Seconds != 600 {
			t.Errorf("%d %s", s.Seconds, s.Script.Reveal())
		}
	}
	hidden(t, d, c, "hush-hush-hush")
	if err := d.RemoveScript(ctx, admin, "shop", "php"); err != nil {
		t.Error(err)
	}
	if err := d.RemoveScript(ctx, admin, "shop", "php"); api.CodeFrom(err) != api.CodeNotFound {
		t.Error(err)
	}
}
