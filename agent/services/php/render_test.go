package php

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/agent/host/hosttest"
	"conpaas/agent/services/conf"
	"conpaas/agent/services/hosting"
	"conpaas/client/api"
)

// hostile are texts that break out of badly made configurations.
var hostile = []string{
	"", " ", "x y", "x;", "x\ny", "x\r\ny", "x#y", `x"y`, "x'y", `x\y`, "x}y", "x{y", "$x", "${x}", "%[env(PATH)]", "../x", "/etc/passwd", "x\x00y", "\xff", "ü", "[www]", "; x", "=", "&", "x&auth=y",
	"*", "on", "none", "code-", "code-12345", "code-1234567", "code-12345\n", "code-../../", "CODE-abcdef", strings.Repeat("x", 100_000),
}

// newSite is a place for configurations, without programs.
func newSite(t *testing.T) hosting.Site {
	t.Helper()
	return hosting.Site{Host: hosttest.New(t), Base: "services/php", Run: "php"}
}

// goodBackend is a configuration that is let through; each call gives a new one.
func goodBackend() api.HostingBackendConfig {
	listen := netip.MustParseAddrPort("127.0.0.1:9000")
	return api.HostingBackendConfig{Listen: listen, Settings: map[string]string{}, Sessions: api.SessionsStore{Listen: listen, Password: "secret"}}
}

// Settings break out of no configuration.
func TestHostileSettingsAreRefused(t *testing.T) {
	if err := (runner{}).Accepts(goodBackend()); err != nil {
		t.Fatal(err)
	}
	try := func(name, value string) {
		t.Helper()
		c := goodBackend()
		c.Settings[name] = value
		if err := (runner{}).Accepts(c); err == nil {
			t.Errorf("%s=%.20q: let through", name, value)
		} else if len(err.Error()) > 600 {
			t.Errorf("%s=%.20q: an error of %d bytes", name, value, len(err.Error()))
		}
	}
	for _, text := range hostile {
		for _, name := range []string{"max_execution_time", "memory_limit", "upload_max_filesize", "post_max_size", "log_errors", "display_errors", text} {
			try(name, text)
		}
	}
	for _, c := range [][2]string{
		{"memory_limit", "5G"},
		{"memory_limit", "15M"},
		{"memory_limit", "9999999999G"},
		{"max_execution_time", "3601"},
		{"max_execution_time", "0"},
		{"max_execution_time", "+5"},
		{"disable_functions", "a\"\nallow_url_include=On"},
	} {
		try(c[0], c[1])
	}
}

// PHP reads back exactly what was meant, whatever characters the values have.
func TestPHPReadsBack(t *testing.T) {
	c := goodBackend()
	c.Settings = map[string]string{"disable_functions": "exec,system, passthru", "memory_limit": "4G", "display_errors": "On"}
	p := newSite(t)
	for _, password := range []string{"plain", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "${PATH}", "%41%00", "a&auth=b", "a\";evil=1", strings.Repeat("%", 512)} {
		c.Sessions.Password = password
		if err := (runner{}).Accepts(c); err != nil {
			t.Errorf("password %q: %v", password, err)
			continue
		}
		_, ini, _, err := renderFPM(p, c)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "php.ini")
		if err := os.WriteFile(path, ini, 0o600); err != nil {
			t.Fatal(err)
		}
		// PHP takes the URL apart as php-redis does.
		out, err := exec.Command("php8.2", "-c", path, "-r", `
			foreach (['memory_limit', 'upload_max_filesize', 'post_max_size', 'log_errors', 'display_errors', 'disable_functions'] as $n) $all[$n] = get_cfg_var($n);
			parse_str(parse_url(get_cfg_var('session.save_path'), PHP_URL_QUERY), $q);
			echo json_encode(['auth' => $q['auth'], 'evil' => (string) get_cfg_var('evil'), 'reporting' => (string) (int) get_cfg_var('error_reporting')] + $all);`).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var got map[string]string
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want := map[string]string{
			"auth": password, "evil": "", "reporting": "22527", "memory_limit": "4G", "upload_max_filesize": "2M", "post_max_size": "8M",
			"log_errors": "1", "display_errors": "1", "disable_functions": "exec,system, passthru",
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
}

// php-fpm takes what is made for it.
func TestFPMTakesItsConfiguration(t *testing.T) {
	text, _, mark, err := renderFPM(newSite(t), goodBackend())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), conf.MarkHere) || strings.Count(string(text), mark) != 1 || strings.Contains(string(text), "<no value>") {
		t.Errorf("it has not its mark once:\n%s", text)
	}
	file := filepath.Join(t.TempDir(), fpmConf)
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("php-fpm8.2", "-t", "-n", "-y", file).CombinedOutput(); err != nil || strings.Contains(string(out), "WARN") {
		t.Errorf("%v: %s", err, out)
	}
}

func FuzzAccepts(f *testing.F) {
	data, _ := json.Marshal(goodBackend())
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		c := goodBackend()
		if json.Unmarshal(data, &c) != nil || (runner{}).Accepts(c) != nil {
			return
		}
		_, ini, _, err := renderFPM(newSite(t), c)
		if err != nil || strings.Count(string(ini), "\n") != 24 {
			t.Errorf("%q makes %d lines\n%s", data, strings.Count(string(ini), "\n"), ini)
		}
	})
}
