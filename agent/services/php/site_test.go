package php

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"conpaas/client/api"
	"conpaas/client/archive"
)

// Ports of the roles; every machine has an address of its own.
const (
	proxyPort   = 8000
	webPort     = 8080
	backendPort = 9000
	redisPort   = 6379
	password    = `S3cret+/="'%&?#@`
)

// version is one version of the program that the tests run.
type version struct {
	api.CodeBlob
	data []byte
}

func newVersion(t *testing.T, id string, files map[string]string) version {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	for name, text := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(text)), Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(out.Bytes())
	return version{api.CodeBlob{ID: id, SHA256: hex.EncodeToString(sum[:]), Format: archive.TarGzip}, out.Bytes()}
}

// site is a program whose every part says its version: the page before and after a pause, a file that it includes
// late, and a static file.
func site(t *testing.T, id string) version {
	t.Helper()
	return newVersion(t, id, map[string]string{
		"index.php": `<?php $v = '` + id + `'; usleep(rand(0, 40000)); include 'lib/late.php'; $body = file_get_contents('php://input');
			echo $v, ' ', LATE, ' ', trim(file_get_contents(__DIR__ . '/version.txt')), ' ', $_SERVER['REQUEST_METHOD'], ' ', strlen($body), ' ', $_SERVER['PATH_INFO'] ?? '', ' ', $_SERVER['QUERY_STRING'];`,
		"lib/late.php": `<?php define('LATE', '` + id + `');`,
		"version.txt":  id + "\n",
		"sub/a.txt":    "in a directory",
		".secret":      "hidden",
		"session.php":  `<?php session_start(); $_SESSION['n'] = ($_SESSION['n'] ?? 0) + 1; echo $_SESSION['n'];`,
		"ini.php":      `<?php foreach (explode(',', $_GET['names']) as $n) $a[$n] = ini_get($n); $a['node'] = file_get_contents($_SERVER['DOCUMENT_ROOT'] . '/../../../../../../../node'); echo json_encode($a);`,
		"who.php":      `<?php $u = posix_getpwuid(posix_geteuid()); echo $u['name'], ' ', is_writable(__FILE__) || is_writable(__DIR__) ? 'w' : 'r', ' ', is_writable(ini_get('upload_tmp_dir')) && tempnam(sys_get_temp_dir(), 'x') ? 't' : '-', ' ', $_SERVER['REMOTE_ADDR'];`,
		"upload.php":   `<?php echo $_FILES['f']['error'], ' ', $_FILES['f']['size'], ' ', md5_file($_FILES['f']['tmp_name'] ?: __FILE__);`,
		"slow.php":     `<?php $end = microtime(true) + 1.5; while (microtime(true) < $end) usleep(1000); echo 'done';`,
	})
}

// client is a visitor; its connections are kept alive unless fresh.
func client(fresh bool) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: fresh, MaxIdleConnsPerHost: 16}}
}

// visit gives the body of a page that answers 200.
func visit(c *http.Client, method, url, body string, header ...string) (string, error) {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := c.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.200s", method, url, response.Status, data)
	}
	return string(data), err
}

func page(t *testing.T, at netip.AddrPort, path string, header ...string) string {
	t.Helper()
	c := client(true)
	text, err := visit(c, http.MethodGet, "http://"+at.String()+path, "", header...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// load visits a site over and over until it is stopped, and fails the test for each visit that fails or sees two versions.
type load struct {
	t      *testing.T
	cancel context.CancelFunc
	all    sync.WaitGroup
	visits atomic.Int64
	failed atomic.Int64
	seen   sync.Map // versions
}

func newLoad(t *testing.T, at netip.AddrPort) *load {
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{t: t, cancel: cancel}
	for i := range 6 {
		c := client(i%3 == 0)
		l.all.Go(func() {
			defer c.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				l.visit(c, "http://"+at.String(), n)
			}
		})
	}
	return l
}

// visit is cut off by nothing: a visit that has begun when the load is stopped is finished.
func (l *load) visit(c *http.Client, base string, n int) {
	var text string
	var err error
	var want int
	switch n % 3 {
	case 0:
		text, err = visit(c, http.MethodGet, base+"/index.php/path?x=1", "")
		want = 7
	case 1:
		text, err = visit(c, http.MethodPost, base+"/", strings.Repeat("b", 3000))
		want = 5
		if err == nil && !strings.Contains(text, " POST 3000 ") {
			err = fmt.Errorf("a POST gives %q", text)
		}
	case 2:
		text, err = visit(c, http.MethodGet, base+"/version.txt", "")
		want = 1
	}
	l.visits.Add(1)
	f := strings.Fields(text)
	if err == nil && (len(f) != want || want > 1 && (f[0] != f[1] || f[1] != f[2])) {
		err = fmt.Errorf("visit %d sees %q", n, text)
	}
	if err != nil {
		if l.failed.Add(1) < 10 {
			l.t.Error(err)
		}
		return
	}
	l.seen.Store(f[0], true)
}

// more waits for some more visits.
func (l *load) more(n int64) {
	l.t.Helper()
	until := l.visits.Load() + n
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	for l.visits.Load() < until {
		select {
		case <-timer.C:
			l.t.Fatal("the load stands still")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (l *load) stop() {
	l.cancel()
	l.all.Wait()
	l.t.Logf("%d visits, %d failed", l.visits.Load(), l.failed.Load())
}
