package httpapi_test

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/cloud"
	"conpaas/director/directortest"
)

// upload is an image of some content, as the use case gets it.
func upload(content string, services ...api.ServiceType) app.ImageUpload {
	return app.ImageUpload{
		Name: "test", Format: api.ImageRootFS, Architecture: "amd64", SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(content))),
		Services: services, Size: int64(len(content)), Body: strings.NewReader(content),
	}
}

// publish publishes an image to the cloud default.
func (w *world) publish(t *testing.T, content string, services ...api.ServiceType) api.Image {
	t.Helper()
	i, err := w.PublishImage(t.Context(), w.Admin(), "default", upload(content, services...))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// images gives the images of the cloud default.
func (w *world) images(t *testing.T) []api.Image {
	t.Helper()
	list, err := w.Images(t.Context(), "default", app.Page{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// query is that of an upload.
func query(content string, change map[string]string) string {
	in := upload(content)
	q := url.Values{"name": {in.Name}, "format": {string(in.Format)}, "architecture": {in.Architecture}, "sha256": {in.SHA256}}
	for name, value := range change {
		q.Set(name, value)
	}
	return q.Encode()
}

// What is wrong with an image is told, and nothing of it is left in the cloud or in the table.
func TestWrongImages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	values := map[string]string{"cloud": "default"}
	for name, c := range map[string]struct {
		change  map[string]string
		body    string
		chunked bool
		status  int
		says    string
	}{
		"other digest":    {change: map[string]string{"sha256": strings.Repeat("a", 64)}, status: 422, says: "SHA-256"},
		"no digest":       {change: map[string]string{"sha256": "x"}, status: 422, says: "SHA-256"},
		"shorter":         {body: "conten", status: 422, says: "SHA-256"},
		"longer":          {body: "contents", status: 422, says: "SHA-256"},
		"length not told": {chunked: true, status: 422, says: "Content-Length"},
		"no name":         {change: map[string]string{"name": " "}, status: 422, says: "name"},
		"escapes":         {change: map[string]string{"name": "a\x1b[2J"}, status: 422, says: "name"},
		"no format":       {change: map[string]string{"format": "../x"}, status: 422, says: "format"},
		"no architecture": {change: map[string]string{"architecture": ""}, status: 422, says: "architecture"},
		"unknown service": {change: map[string]string{"services": "php,wine"}, status: 422, says: "wine"},
		"unknown member":  {change: map[string]string{"nam": "x"}, status: 422, says: "no such member"},
	} {
		body := c.body
		if body == "" {
			body = "content"
		}
		got := w.call(t, w.callers["admin"], request{
			method: http.MethodPost, path: "/v1/clouds/{cloud}/images", values: values, query: query("content", c.change), body: body, chunked: c.chunked,
			kind: "application/octet-stream",
		})
		if got.status != c.status || !strings.Contains(got.problem.Error(), c.says) {
			t.Errorf("%s: %d %s, want %d and %q", name, got.status, got.body, c.status, c.says)
		}
	}
	if list := w.images(t); len(list) != 0 {
		t.Errorf("there are %+v", list)
	}
}

// connected sends the head of an upload, and gives the connection.
func (w *world) connected(t *testing.T, size int) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(w.URL, "https://"), w.callers["admin"].client.Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /v1/clouds/default/images?%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
		query(strings.Repeat("x", size), nil), w.callers["admin"].token.Reveal(), size)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// An upload that is cut off halfway leaves nothing; while it goes on others find the cloud busy, and afterwards it is free.
func TestImageCutOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const size = 1 << 20
	var conns []*tls.Conn
	for range 2 {
		conn := w.connected(t, size)
		if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100") {
			t.Fatalf("the director does not ask for the body: %q, %v", line, err)
		}
		if _, err := io.WriteString(conn, strings.Repeat("x", size/2)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	answer, err := http.ReadResponse(bufio.NewReader(w.connected(t, size)), nil)
	if err != nil || answer.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a third one: %v, %v", answer, err)
	}
	for _, conn := range conns {
		if err := conn.NetConn().(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		_ = conn.NetConn().Close()
	}
	directortest.Await(t, 30*time.Second, "the cloud is free again", func() error {
		_, err := w.PublishImage(t.Context(), w.Admin(), "default", upload("content"))
		return err
	})
	if list := w.images(t); len(list) != 1 || list[0].SHA256 != upload("content").SHA256 {
		t.Errorf("there are %+v", list)
	}
}

// What the cloud says no to is told by its kind, and an image that cannot be written down is taken back. Where that fails, too, it
// is unknown, and can be removed.
func TestImagesAndTroubles(t *testing.T) {
	t.Parallel()
	failing := false
	w := &world{Director: directortest.Start(t, directortest.Options{Failpoint: func(name string) error {
		if failing && name == "image.published/before" {
			return errors.New("no power")
		}
		return nil
	}})}
	for kind, code := range map[cloud.Kind]api.Code{
		cloud.KindCapacity: api.CodeFull, cloud.KindQuota: api.CodeQuota, cloud.KindTransient: api.CodeUnavailable,
		cloud.KindThrottled: api.CodeThrottled, cloud.KindPermanent: api.CodeInvalid, cloud.KindAuth: api.CodeUnavailable,
	} {
		w.Cloud.RefuseImages(func(string) error { return w.Cloud.Error(kind, "for a reason") })
		if _, err := w.PublishImage(t.Context(), w.Admin(), "default", upload("content")); api.CodeFrom(err) != code || !strings.Contains(err.Error(), "for a reason") {
			t.Errorf("%s: %v", kind, err)
		}
	}
	w.Cloud.RefuseImages(nil)
	failing = true
	if _, err := w.PublishImage(t.Context(), w.Admin(), "default", upload("content")); err == nil {
		t.Error("an image that is not written down is published")
	}
	if list := w.images(t); len(list) != 0 {
		t.Errorf("it left %+v", list)
	}
	w.Cloud.RefuseImages(func(op string) error {
		if op == "remove-image" {
			return w.Cloud.Error(cloud.KindTransient, "not now")
		}
		return nil
	})
	if _, err := w.PublishImage(t.Context(), w.Admin(), "default", upload("content")); err == nil {
		t.Error("an image that is not written down is published")
	}
	w.Cloud.RefuseImages(nil)
	failing = false
	list := w.images(t)
	if len(list) != 1 || list[0].State != api.ImageUnknown {
		t.Fatalf("there are %+v, want one that is unknown", list)
	}
	if err := w.UseImage(t.Context(), "default", list[0].ID); api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("use of an unknown image: %v", err)
	}
	if err := w.RemoveImage(t.Context(), "default", list[0].ID); err != nil || len(w.images(t)) != 0 {
		t.Errorf("removed: %v, left: %+v", err, w.images(t))
	}
}

// New machines start from the image that is chosen, also after a restart of the director; it is not removed while it is chosen, nor
// while a machine has it, and what it has no packages of is not started.
func TestMachinesStartFromTheChosenImage(t *testing.T) {
	t.Parallel()
	w := &world{Director: directortest.Start(t, directortest.Options{})}
	admin := w.Admin()
	i := w.publish(t, "content", api.Helloworld)
	if err := w.UseImage(t.Context(), "default", i.ID); err != nil {
		t.Fatal(err)
	}
	_, err := w.CreateApplication(t.Context(), admin, api.ApplicationCreate{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []api.ServiceType{api.PHP, api.Helloworld} {
		if _, err := w.AddService(t.Context(), admin, "shop", api.ServiceCreate{Type: kind, Name: string(kind)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.StartService(t.Context(), admin, "shop", "php"); api.CodeFrom(err) != api.CodeConflict || !strings.Contains(err.Error(), "cpsimage publish") {
		t.Errorf("a service without its packages: %v", err)
	}
	started, err := w.StartService(t.Context(), admin, "shop", "helloworld")
	if err != nil {
		t.Fatal(err)
	}
	if end := w.Finish(t, started); end.State != api.OperationSucceeded {
		t.Fatalf("it %s: %v", end.State, end.Error)
	}
	for _, token := range []string{"n1-1", "n2-1"} {
		if got := w.Cloud.ImageOf(token); got != i.ID {
			t.Errorf("machine %s starts from %q, want %q", token, got, i.ID)
		}
	}
	remove := func(says string) {
		t.Helper()
		if err := w.RemoveImage(t.Context(), "default", i.ID); api.CodeFrom(err) != api.CodeConflict || !strings.Contains(err.Error(), says) {
			t.Errorf("remove: %v, want %q", err, says)
		}
	}
	remove("new machines")
	if err := w.UseImage(t.Context(), "default", ""); err != nil {
		t.Fatal(err)
	}
	remove("used by machine")
	if list := w.images(t); len(list) != 1 || list[0].Current || list[0].State != api.ImageAvailable || list[0].By != "admin" {
		t.Errorf("images: %+v", list)
	}
}
