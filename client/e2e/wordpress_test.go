package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

const wordpressExample = "../../docs/examples/wordpress"

// blogger is a person with a browser at a blog that runs WordPress.
type blogger struct {
	url string
	web *http.Client
}

func newBlogger(t testing.TB, url string) *blogger {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &blogger{url: url, web: &http.Client{Jar: jar, Timeout: 30 * time.Second}}
}

// get gives a page that is answered with status 200.
func (b *blogger) get(path string) (string, error) {
	res, err := b.web.Get(b.url + path)
	return whole(res, err)
}

func (b *blogger) post(path string, form url.Values) (string, error) {
	res, err := b.web.PostForm(b.url+path, form)
	return whole(res, err)
}

func whole(res *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %s: %.300s", res.Request.URL, res.Status, text)
	}
	return string(text), err
}

// install fills WordPress' own form, and logs in.
func (b *blogger) install(t *testing.T) {
	t.Helper()
	const password = "a long password of the test"
	text, err := b.post("/wp-admin/install.php?step=2", url.Values{
		"weblog_title": {"The shop's blog"}, "user_name": {"editor"}, "admin_password": {password}, "admin_password2": {password},
		"admin_email": {"editor@example.org"}, "blog_public": {"0"}, "Submit": {"Install WordPress"}, "language": {""},
	})
	if err != nil || !strings.Contains(text, "Success!") {
		t.Fatalf("install WordPress: %v: %.2000s", err, text)
	}
	if _, err := b.get("/wp-login.php"); err != nil { // it sets a cookie to see whether there are cookies
		t.Fatal(err)
	}
	text, err = b.post("/wp-login.php", url.Values{"log": {"editor"}, "pwd": {password}, "wp-submit": {"Log In"}, "redirect_to": {b.url + "/wp-admin/"}, "testcookie": {"1"}})
	if err != nil || !strings.Contains(text, "Dashboard") {
		t.Fatalf("log in to WordPress: %v: %.2000s", err, text)
	}
}

// publish posts an article and gives its path.
func (b *blogger) publish(t *testing.T, title, text string) string {
	t.Helper()
	nonce, err := b.get("/wp-admin/admin-ajax.php?action=rest-nonce")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := b.post("/index.php?rest_route=/wp/v2/posts", url.Values{"title": {title}, "content": {text}, "status": {"publish"}, "_wpnonce": {nonce}})
	var made struct {
		ID int `json:"id"`
	}
	if err == nil {
		err = json.Unmarshal([]byte(answer), &made)
	}
	if err != nil || made.ID == 0 {
		t.Fatalf("publish an article: %v: %.1000s", err, answer)
	}
	return fmt.Sprintf("/?p=%d", made.ID)
}

// wordPress puts the example's manifest, for application shop, and its archive into the folder of w.
func (w *world) wordPress(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(wordpressExample, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("manifest.json", strings.Replace(string(text), `"Application": "wordpress"`, `"Application": "shop"`, 1))
	if out, err := exec.Command(filepath.Join(wordpressExample, "make-archive"), w.path("wordpress.tar.gz")).CombinedOutput(); err != nil {
		t.Fatalf("make-archive: %v\n%s", err, out)
	}
}

// TestWordPress: a blog with its database is made of one manifest, installed by its own page, and an article is written. It is read
// after machines were added, lost and replaced, and after the whole application was stopped and started.
func TestWordPress(t *testing.T) {
	w := newWorld(t, t.TempDir(), "container")
	t.Cleanup(w.close)
	w.wordPress(t)
	w.start()
	w.login()
	begun := time.Now()
	w.cps("application", "manifest", w.path("manifest.json"))
	b := newBlogger(t, w.endpointsOf("blog")[0])
	w.eventually(30*time.Second, "the first page", func() error {
		text, err := b.get("/")
		if err == nil && !strings.Contains(text, "WordPress") {
			err = fmt.Errorf("it says %.300s", text)
		}
		return err
	})
	t.Logf("from the manifest to the first page: %v", time.Since(begun))
	b.install(t)
	const title = "What the shop has learnt"
	article := b.publish(t, title, "Databases outlive machines.")
	served := func() error {
		text, err := newBlogger(t, w.endpointsOf("blog")[0]).get(article) // a visitor
		if err == nil && (!strings.Contains(text, title) || !strings.Contains(text, "Databases outlive machines.")) {
			err = fmt.Errorf("the article is not served: %.500s", text)
		}
		return err
	}
	is := func(when string) {
		t.Helper()
		w.eventually(time.Minute, "the article is served "+when, served)
	}
	is("after it was posted")

	w.cps("service", "add-nodes", "shop", "blog", "--backend", "3")
	w.cps("service", "add-nodes", "shop", "db", "--mysql", "2")
	is("by three backends and three databases")
	database, backend := w.of(api.RoleMySQL)[0].ID, w.of(api.RoleBackend)[0].ID
	w.machine(database).destroy()
	w.machine(backend).destroy()
	is("although two machines are lost")
	w.eventually(3*time.Minute, "the machines are replaced", func() error { return errors.Join(w.replaced(database, 7), w.replaced(backend, 7)) })
	is("by the machines in their place")

	w.cps("application", "stop", "shop")
	w.cps("application", "start", "shop")
	w.eventually(3*time.Minute, "all machines are there again", func() error { return w.exactly(7) })
	is("after a stop and a start")

	// What is exported makes the same application at an empty director; what is in the database is not part of it.
	w.cps("application", "export", "shop", w.path("export"))
	exported, err := os.ReadFile(w.path("export/manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(exported), "PASSWORD=") || strings.Count(string(exported), `"***"`) != 2 {
		t.Errorf("the export is\n%s", exported)
	}
	w.cps("application", "delete", "shop", "--yes")
	empty := newWorld(t, t.TempDir(), "container")
	t.Cleanup(empty.close)
	empty.start()
	empty.login()
	empty.cps("application", "apply", w.path("export/manifest.json"))
	if again := empty.cps("application", "export", "shop"); again != string(exported) {
		t.Errorf("the export of the second is\n%s\nof the first\n%s", again, exported)
	}
	empty.eventually(30*time.Second, "the second blog is new", func() error {
		text, err := newBlogger(t, empty.endpointsOf("blog")[0]).get("/")
		if err == nil && !strings.Contains(text, "Installation") {
			err = fmt.Errorf("it says %.300s", text)
		}
		return err
	})
}
