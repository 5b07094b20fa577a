package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const output = `goos: linux
pkg: conpaas/client/e2e
BenchmarkScaleContainer
BenchmarkScaleContainer-2   	       1	9000000000 ns/op	         1.500 load	         9.000 scale_20_container_s	         7 something
BenchmarkTCP-2   	       1	10 ns/op	 2.0 overlay_tcp_gbps	 2.5 overlay_tcp_gbps.baseline	       NaN nebula_tcp_gbps	       NaN overlay_loaded_rss_mib
PASS
ok  	conpaas/client/e2e	9.1s
`

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.json")
	var out strings.Builder
	if err := run(strings.NewReader(output), &out, file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var figures []map[string]any
	if err := json.Unmarshal(text, &figures); err != nil {
		t.Fatal(err)
	}
	if len(figures) != 4 {
		t.Fatalf("figures %v", figures)
	}
	for _, f := range figures {
		for _, key := range []string{"name", "value", "unit", "baseline", "target", "ok", "load"} {
			if _, ok := f[key]; !ok {
				t.Errorf("%v has no %s", f, key)
			}
		}
	}
	scale, tcp, nebula, loaded := figures[0], figures[1], figures[2], figures[3]
	if scale["name"] != "scale_20_container_s" || scale["value"] != 9.0 || scale["target"] != 8.0 || scale["ok"] != false || scale["baseline"] != nil || scale["load"] != 1.5 {
		t.Errorf("got %v", scale)
	}
	if nebula["value"] != nil || loaded["value"] != nil || loaded["ok"] != nil || loaded["target"] != 120.0 {
		t.Errorf("got %v, %v for what was not measured", nebula, loaded)
	}
	if tcp["baseline"] != 2.5 || tcp["ok"] != nil || tcp["target"] != nil {
		t.Errorf("got %v", tcp)
	}
	want := "FIGURE                  VALUE  UNIT    BASELINE  TARGET  OK  LOAD\n" +
		"scale_20_container_s    9      s                 8       no  1.5\n" +
		"overlay_tcp_gbps        2      Gbit/s  2.5                   0.0\n" +
		"nebula_tcp_gbps                Gbit/s                        0.0\n" +
		"overlay_loaded_rss_mib         MiB               120         0.0\n"
	if out.String() != want {
		t.Errorf("table\n%s\nwant\n%s", out.String(), want)
	}
}

func TestTroubleIsPassedOn(t *testing.T) {
	var out strings.Builder
	err := run(strings.NewReader("--- FAIL: BenchmarkX\n    x_test.go:1: no image\nFAIL\n"), &out, filepath.Join(t.TempDir(), "bench.json"))
	if err == nil || !strings.Contains(out.String(), "no image") {
		t.Errorf("error %v, output %q", err, out.String())
	}
}
