package app_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/director/directortest"
	"conpaas/director/store"
)

// login gives a client of the director's port, as people use it.
func login(t *testing.T, d *directortest.Director) *director.Client {
	t.Helper()
	password := must[[]byte](t)(os.ReadFile(filepath.Join(d.Dir, "admin-password")))
	nobody := must[*director.Client](t)(director.New(director.Config{URL: d.URL, CA: d.CA()}))
	token := must[api.Token](t)(nobody.Login(t.Context(), api.Login{Username: "admin", Password: api.Secret(strings.TrimSpace(string(password)))}))
	return must[*director.Client](t)(director.New(director.Config{URL: d.URL, CA: d.CA(), Token: token.Token}))
}

// archiveOf makes a zip archive with one file.
func archiveOf(t *testing.T, name, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f := must[io.Writer](t)(w.Create(name))
	if _, err := io.WriteString(f, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func upload(data []byte, enable bool) director.Upload {
	return director.Upload{Filename: "dir/shop.zip", Description: "second try", Enable: enable, Size: int64(len(data)), Archive: bytes.NewReader(data)}
}

// phpService starts an application with a php service.
func phpService(t *testing.T, d *directortest.Director) api.Service {
	t.Helper()
	must[api.Application](t)(d.CreateApplication(t.Context(), d.Admin(), api.ApplicationCreate{Name: "shop"}))
	service := must[api.Service](t)(d.AddService(t.Context(), d.Admin(), "shop", api.ServiceCreate{Type: api.PHP}))
	succeed(t, d)(d.StartService(t.Context(), d.Admin(), "shop", "php"))
	return service
}

// states tells of each version whether it is enabled, wanted or refused.
func states(t *testing.T, c *director.Client) string {
	t.Helper()
	var all []string
	for _, v := range must[[]api.CodeVersion](t)(c.CodeVersions(t.Context(), "shop", "php")) {
		text := v.Description
		if v.ID == api.CodeDefault {
			text = v.ID
		}
		if v.Enabled {
			text += " enabled"
		}
		if v.Wanted {
			text += " wanted"
		}
		if v.Reason != "" {
			text += " (" + v.Reason + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func blobsOf(t *testing.T, d *directortest.Director) int {
	t.Helper()
	return len(must[[]os.DirEntry](t)(os.ReadDir(filepath.Join(d.Dir, "blobs"))))
}

func TestCodeVersions(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	service, c, ctx := phpService(t, d), login(t, d), t.Context()
	if got := states(t, c); got != "code-default enabled" {
		t.Errorf("a new service has %s", got)
	}
	secrets := d.Cloud.Spec(service.Application).Application.Services[0].Secrets
	if len(secrets) != 1 || len(secrets["sessions"].Reveal()) < 32 {
		t.Errorf("the manager has got the secrets %v", secrets)
	}

	data := archiveOf(t, "index.php", "<?php echo 1;")
	v := must[api.CodeVersion](t)(c.UploadCode(ctx, "shop", "php", upload(data, true)))
	if v.Filename != "shop.zip" || v.Format != "zip" || v.Size != int64(len(data)) || v.Operation == "" || !v.Wanted {
		t.Errorf("the upload gives %+v", v)
	}
	succeed(t, d)(c.Operation(ctx, v.Operation))
	if got := states(t, c); got != "code-default, second try enabled" {
		t.Errorf("after the first upload: %s", got)
	}
	code := d.Cloud.Spec(service.Application).Application.Services[0].Code
	if code.Wanted != v.ID || code.Serving != v.ID || len(code.Versions) != 1 || code.Versions[0].SHA256 != v.SHA256 {
		t.Errorf("the manager has got %+v", code)
	}
	body := must[io.ReadCloser](t)(c.DownloadCode(ctx, "shop", "php", v.ID))
	if back := must[[]byte](t)(io.ReadAll(body)); !bytes.Equal(back, data) || body.Close() != nil {
		t.Errorf("%d bytes come back of %d", len(back), len(data))
	}

	// the enabled one, the first one and unknown ones
	for version, want := range map[string]api.Code{v.ID: api.CodeConflict, api.CodeDefault: api.CodeConflict, "code-nothing": api.CodeNotFound} {
		if err := c.DeleteCode(ctx, "shop", "php", version); api.CodeFrom(err) != want {
			t.Errorf("delete %s: %v", version, err)
		}
	}
	if _, err := c.DownloadCode(ctx, "shop", "php", api.CodeDefault); api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("download the welcome page: %v", err)
	}
	if _, err := c.EnableCode(ctx, "shop", "php", "code-nothing"); api.CodeFrom(err) != api.CodeNotFound {
		t.Errorf("enable an unknown version: %v", err)
	}

	// an archive is removed with the last version that names it
	same := must[api.CodeVersion](t)(c.UploadCode(ctx, "shop", "php", upload(data, false)))
	other := must[api.CodeVersion](t)(c.UploadCode(ctx, "shop", "php", upload(archiveOf(t, "index.php", "<?php echo 2;"), false)))
	for i, version := range []string{other.ID, same.ID} {
		if n := blobsOf(t, d); n != 2-i {
			t.Errorf("%d archives are kept, want %d", n, 2-i)
		}
		if err := c.DeleteCode(ctx, "shop", "php", version); err != nil {
			t.Errorf("delete %s: %v", version, err)
		}
	}
	succeed(t, d)(c.RemoveService(ctx, "shop", "php"))
	directortest.Await(t, 10*time.Second, "the archives are gone", func() error {
		if n := blobsOf(t, d); n > 0 {
			return os.ErrExist
		}
		return nil
	})
}

func TestRefusedArchivesLeaveNothing(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	must[api.Application](t)(d.CreateApplication(t.Context(), d.Admin(), api.ApplicationCreate{Name: "shop"}))
	for _, kind := range []api.ServiceType{api.PHP, api.Helloworld} {
		must[api.Service](t)(d.AddService(t.Context(), d.Admin(), "shop", api.ServiceCreate{Type: kind}))
	}
	c, ctx := login(t, d), t.Context()
	for _, bad := range []struct {
		service string
		upload  director.Upload
		code    api.Code
		text    string
	}{
		{"php", upload(archiveOf(t, "../evil.php", "x"), true), api.CodeInvalid, "../evil.php"},
		{"php", upload(archiveOf(t, "/etc/passwd", "x"), true), api.CodeInvalid, "/etc/passwd"},
		{"php", upload([]byte("<html>no archive"), true), api.CodeInvalid, "zip"},
		{"php", upload(nil, true), api.CodeInvalid, ""},
		{"php", director.Upload{Filename: "a\nb", Archive: strings.NewReader("")}, api.CodeInvalid, "query.filename"},
		{"php", director.Upload{Description: strings.Repeat("x", 1025), Archive: strings.NewReader("")}, api.CodeInvalid, "query.description"},
		{"php", director.Upload{Size: 2 << 30, Archive: io.LimitReader(zeros{}, 2<<30)}, api.CodeTooLarge, "1024 MiB"},
		{"helloworld", upload(archiveOf(t, "index.php", "x"), true), api.CodeUnsupported, "runs no uploaded code"},
		{"nothing", upload(archiveOf(t, "index.php", "x"), true), api.CodeNotFound, "nothing"},
	} {
		_, err := c.UploadCode(ctx, "shop", bad.service, bad.upload)
		if api.CodeFrom(err) != bad.code || !strings.Contains(err.Error(), bad.text) {
			t.Errorf("%s %.20q: %v; want %s %s", bad.service, bad.upload.Filename, err, bad.code, bad.text)
		}
	}
	if got := states(t, c); got != "code-default enabled" {
		t.Errorf("after the refusals: %s", got)
	}
	if n := blobsOf(t, d); n != 0 {
		t.Errorf("%d archives are kept", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A version that a machine refuses is not served: the operation says why, and the old one is wanted again.
func TestBrokenVersionIsRefused(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	phpService(t, d)
	c, ctx := login(t, d), t.Context()
	const words = "n2: PHP Parse error: syntax error, unexpected end of file in index.php on line 1"
	d.Cloud.RefuseCode(func(version string) string {
		if version == api.CodeDefault {
			return ""
		}
		return words
	})
	v := must[api.CodeVersion](t)(c.UploadCode(ctx, "shop", "php", upload(archiveOf(t, "index.php", "<?php echo"), false)))
	for range 2 {
		op := d.Finish(t, must[api.Operation](t)(c.EnableCode(ctx, "shop", "php", v.ID)))
		if op.State != api.OperationFailed || op.Error == nil || !strings.Contains(op.Error.Detail, words) || !strings.Contains(op.Error.Detail, v.ID) {
			t.Errorf("the operation is %s: %v", op.State, op.Error)
		}
		if got := states(t, c); got != "code-default enabled, second try ("+words+")" {
			t.Errorf("after the refusal: %s", got)
		}
	}
	// while the service is stopped nothing can be checked; when it starts the version is refused
	succeed(t, d)(c.StopService(ctx, "shop", "php"))
	succeed(t, d)(c.EnableCode(ctx, "shop", "php", v.ID))
	if got := states(t, c); got != "code-default enabled, second try wanted" {
		t.Errorf("while it is stopped: %s", got)
	}
	succeed(t, d)(c.StartService(ctx, "shop", "php"))
	if got := states(t, c); got != "code-default enabled, second try ("+words+")" {
		t.Errorf("after the start: %s", got)
	}
	d.Cloud.RefuseCode(nil)
	succeed(t, d)(c.EnableCode(ctx, "shop", "php", v.ID))
	if got := states(t, c); got != "code-default, second try enabled" {
		t.Errorf("after the repair: %s", got)
	}
}

// Another version may be enabled before the first has come to its end.
func TestLastEnabledVersionWins(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	service := phpService(t, d)
	c, ctx := login(t, d), t.Context()
	// a manager that does not get the archive cannot serve it
	v := must[api.CodeVersion](t)(c.UploadCode(ctx, "shop", "php", upload(archiveOf(t, "index.php", "<?php echo 1;"), false)))
	blob := filepath.Join(d.Dir, "blobs", v.SHA256)
	if err := os.Rename(blob, blob+".away"); err != nil {
		t.Fatal(err)
	}
	first := must[api.Operation](t)(c.EnableCode(ctx, "shop", "php", v.ID))
	directortest.Await(t, 10*time.Second, "the manager knows both", func() error {
		if code := d.Cloud.Spec(service.Application).Application.Services[0].Code; len(code.Versions) != 2 || code.Wanted != v.ID || code.Serving != api.CodeDefault {
			return store.ErrNotFound
		}
		return nil
	})
	succeed(t, d)(c.EnableCode(ctx, "shop", "php", api.CodeDefault))
	if op := d.Finish(t, first); op.State != api.OperationCancelled || !strings.Contains(op.Error.Detail, "another version was enabled meanwhile") {
		t.Errorf("the first operation is %s: %v", op.State, op.Error)
	}
	if err := os.Rename(blob+".away", blob); err != nil {
		t.Fatal(err)
	}
	succeed(t, d)(c.EnableCode(ctx, "shop", "php", v.ID))
}

func TestConfigure(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	service := phpService(t, d)
	c, ctx := login(t, d), t.Context()
	succeed(t, d)(c.Configure(ctx, "shop", "php", map[string]string{"memory_limit": "64m", "display_errors": "on"}))
	settings := d.Cloud.Spec(service.Application).Application.Services[0].Settings
	if settings["memory_limit"] != "64M" || settings["display_errors"] != "On" || settings["post_max_size"] != "8M" {
		t.Errorf("the manager has got %v", settings)
	}
	for name, change := range map[string]map[string]string{
		"settings.colour":        {"colour": "red"},
		"settings.memory_limit":  {"memory_limit": "-1"},
		"settings.post_max_size": {"post_max_size": "1M"},
		"settings":               {},
	} {
		if _, err := c.Configure(ctx, "shop", "php", change); api.CodeFrom(err) != api.CodeInvalid || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%v: %v", change, err)
		}
	}
	succeed(t, d)(c.StopService(ctx, "shop", "php"))
	succeed(t, d)(c.Configure(ctx, "shop", "php", map[string]string{"upload_max_filesize": "3M"}))
}

// A role without machines of its own runs on the first proxy: then there is no second one.
func TestMachinesOfRoles(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	phpService(t, d)
	c, ctx := login(t, d), t.Context()
	change := func(proxy, web, backend int) api.NodesChange {
		in := api.NodesChange{Nodes: map[api.Role]int{}}
		for role, n := range map[api.Role]int{api.RoleProxy: proxy, api.RoleWeb: web, api.RoleBackend: backend} {
			if n > 0 {
				in.Nodes[role] = n
			}
		}
		return in
	}
	refused := func(op api.Operation, err error) {
		t.Helper()
		if api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("operation %s: %v", op.ID, err)
		}
	}
	refused(c.AddNodes(ctx, "shop", "php", change(1, 0, 0)))
	refused(c.AddNodes(ctx, "shop", "php", change(1, 1, 0)))
	refused(c.RemoveNodes(ctx, "shop", "php", change(1, 0, 0)))
	succeed(t, d)(c.AddNodes(ctx, "shop", "php", change(0, 0, 2)))
	refused(c.AddNodes(ctx, "shop", "php", change(1, 0, 0)))
	succeed(t, d)(c.AddNodes(ctx, "shop", "php", change(1, 1, 0)))
	refused(c.RemoveNodes(ctx, "shop", "php", change(0, 1, 0)))
	refused(c.RemoveNodes(ctx, "shop", "php", change(0, 0, 2)))
	succeed(t, d)(c.RemoveNodes(ctx, "shop", "php", change(1, 1, 2)))
	if n := machines(t, d, "shop"); n != 2 {
		t.Errorf("%d machines are left, want the manager's and the proxy", n)
	}
}

// A service that is started with another version on its way has started when that serves.
func TestStartWaitsForTheWantedVersion(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	phpService(t, d)
	c, ctx := login(t, d), t.Context()
	v := must[api.CodeVersion](t)(c.UploadCode(ctx, "shop", "php", upload(archiveOf(t, "index.php", "<?php echo 1;"), false)))
	succeed(t, d)(c.StopService(ctx, "shop", "php"))
	succeed(t, d)(c.EnableCode(ctx, "shop", "php", v.ID))
	blob := filepath.Join(d.Dir, "blobs", v.SHA256)
	if err := os.Rename(blob, blob+".away"); err != nil { // the manager cannot get it now
		t.Fatal(err)
	}
	op := must[api.Operation](t)(c.StartService(ctx, "shop", "php"))
	directortest.Await(t, 10*time.Second, "the old version serves", func() error {
		if s := must[api.Service](t)(c.Service(ctx, "shop", "php")); s.State != api.StateRunning || s.Ready != 1 {
			return errors.New(string(s.State))
		}
		return nil
	})
	for range 20 { // each wakes the worker
		must[api.Application](t)(d.RenameApplication(ctx, d.Admin(), "shop", "shop"))
	}
	if op = must[api.Operation](t)(c.Operation(ctx, op.ID)); op.State.Final() {
		t.Errorf("operation %s is %s while %s", op.ID, op.State, states(t, c))
	}
	if err := os.Rename(blob+".away", blob); err != nil {
		t.Fatal(err)
	}
	succeed(t, d)(op, nil)
	if got := states(t, c); got != "code-default, second try enabled" {
		t.Errorf("after the start: %s", got)
	}
}

// A database that fails for a moment leaves either a whole version or nothing.
func TestUploadThatCannotBeRecorded(t *testing.T) {
	t.Parallel()
	var failing atomic.Value
	failing.Store("")
	d := start(t, directortest.Options{Failpoint: func(name string) error {
		if name == failing.Load() {
			return errors.New("the disk does not answer")
		}
		return nil
	}})
	must[api.Application](t)(d.CreateApplication(t.Context(), d.Admin(), api.ApplicationCreate{Name: "shop"}))
	must[api.Service](t)(d.AddService(t.Context(), d.Admin(), "shop", api.ServiceCreate{Type: api.PHP}))
	c := login(t, d)
	data := archiveOf(t, "index.php", "<?php echo 1;")
	for point, want := range map[string]string{"code.added/before": "code-default enabled", "code.added/after": "code-default enabled, second try"} {
		failing.Store(point)
		if _, err := c.UploadCode(t.Context(), "shop", "php", upload(data, false)); api.CodeFrom(err) != api.CodeInternal {
			t.Errorf("%s: %v", point, err)
		}
		failing.Store("")
		got := states(t, c)
		if got != want || blobsOf(t, d) != strings.Count(want, ",") {
			t.Errorf("%s: %s, and %d archives", point, got, blobsOf(t, d))
		}
		for _, v := range must[[]api.CodeVersion](t)(c.CodeVersions(t.Context(), "shop", "php"))[1:] {
			if err := c.DeleteCode(t.Context(), "shop", "php", v.ID); err != nil {
				t.Error(err)
			}
		}
	}
}
