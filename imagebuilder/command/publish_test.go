package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/login"
	"conpaas/director/directortest"
)

// loggedIn gives a director and the folder of a login there: of the administrator, or of somebody else.
func loggedIn(t *testing.T, d *directortest.Director, user string) string {
	t.Helper()
	const password = "correct horse battery"
	if user != "admin" {
		if _, err := d.CreateUser(t.Context(), api.UserCreate{Name: user, Password: password}); err != nil {
			t.Fatal(err)
		}
	}
	secret := password
	if user == "admin" {
		text, err := os.ReadFile(filepath.Join(d.Dir, "admin-password"))
		if err != nil {
			t.Fatal(err)
		}
		secret = strings.TrimSpace(string(text))
	}
	authority, err := director.ParseAuthority([]byte(d.CABundle().Certificates))
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := director.New(director.Config{URL: d.URL, CA: authority.PEM})
	if err != nil {
		t.Fatal(err)
	}
	token, err := nobody.Login(t.Context(), api.Login{Username: user, Password: api.Secret(secret)})
	if err != nil {
		t.Fatal(err)
	}
	home := login.Home{Dir: filepath.Join(t.TempDir(), user)}
	if err := home.Save(login.Login{Settings: login.Settings{Director: d.URL, Username: user}, Authority: authority, Token: token.Token}); err != nil {
		t.Fatal(err)
	}
	return home.Dir
}

// An image of the cache is published by its key and by its file, with what is known of it; another file with what is said of it. Who
// is no administrator, or not logged in, is refused before anything is sent.
func TestPublish(t *testing.T) {
	fakeBuilder(t)
	cache := t.TempDir()
	path, _, err := run(t, "build", "--services", "helloworld", "--cache", cache, "--mirror", "http://m.example.org/debian")
	if err != nil {
		t.Fatal(err)
	}
	path = strings.TrimSpace(path)
	key := strings.TrimSuffix(filepath.Base(path), ".tar")
	file := filepath.Join(t.TempDir(), "other.qcow2")
	if err := os.WriteFile(file, []byte("a disk"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err = run(t, "build", "--services", "helloworld", "--cache", cache, "--mirror", "http://m.example.org/debian", "-o", filepath.Join(t.TempDir(), "x.tar.zst"))
	packed, globErr := filepath.Glob(filepath.Join(cache, "*.zst"))
	if err != nil || globErr != nil || len(packed) != 1 {
		t.Fatal(packed, err, globErr)
	}
	d := directortest.Start(t, directortest.Options{})
	admin := loggedIn(t, d, "admin")
	images := func() []api.Image {
		client, err := login.Home{Dir: admin}.Client()
		if err != nil {
			t.Fatal(err)
		}
		list, err := client.Images(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{key, "--cloud", "default", "--conf", t.TempDir()}, "cps login"},
		{[]string{key, "--cloud", "default", "--conf", loggedIn(t, d, "ana")}, "administrator"},
		{[]string{key, "--cloud", "mars", "--conf", admin}, `"mars" is not configured`},
		{[]string{key, "--conf", admin}, "cloud"},
		{[]string{packed[0], "--cloud", "default", "--conf", admin}, "build it with a filename that ends in .tar or .tar.gz"},
		{[]string{"nothing", "--cloud", "default", "--conf", admin}, "cpsimage list"},
		{[]string{"nothing.tar", "--cloud", "default", "--conf", admin}, "no such file"},
		{[]string{file, "--cloud", "default", "--services", "wine", "--conf", admin}, "wine"},
	} {
		if out, _, err := run(t, append([]string{"publish", "--cache", cache}, tt.args...)...); err == nil || out != "" || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %q, %v, want %q", tt.args, out, err, tt.want)
		}
	}
	if list := images(); len(list) != 0 {
		t.Errorf("left are %+v", list)
	}
	for _, args := range [][]string{
		{key, "--use"},
		{path, "--name", "second"},
		{file, "--services", "php"},
	} {
		out, progress, err := run(t, append([]string{"publish", "--cache", cache, "--cloud", "default", "--conf", admin}, args...)...)
		if err != nil || !strings.HasPrefix(out, "i") || !strings.Contains(progress, " sent, the cloud takes the image") {
			t.Fatalf("%q: out %q, progress %q, %v", args, out, progress, err)
		}
	}
	list := images()
	if len(list) != 3 {
		t.Fatalf("there are %+v", list)
	}
	first, second, third := list[0], list[1], list[2]
	if first.Name != "rootfs-"+key[:8] || first.Format != api.ImageRootFS || !first.Current || len(first.Services) != 1 || first.By != "admin" || first.Version == "" {
		t.Errorf("first: %+v", first)
	}
	if second.Name != "second" || second.SHA256 != first.SHA256 || second.Current {
		t.Errorf("second: %+v", second)
	}
	if third.Name != "other.qcow2" || third.Format != api.ImageQCOW2 || third.Services[0] != api.PHP {
		t.Errorf("third: %+v", third)
	}
	// What was changed in the cache since is not what its note says.
	if err := os.WriteFile(path, []byte(strings.Repeat("x", int(first.Size))), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, "publish", "--cache", cache, "--cloud", "default", "--conf", admin, key); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("another content: %v", err)
	}
}
