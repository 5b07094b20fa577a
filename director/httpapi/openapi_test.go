package httpapi_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/director/httpapi"
)

var update = flag.Bool("update", false, "write docs/api/openapi.json")

// openapiFile is what is checked in.
const openapiFile = "../../docs/api/openapi.json"

// document is the part of OpenAPI that tests read.
type document struct {
	Paths map[string]map[string]struct {
		OperationID string `json:"operationId"`
		Parameters  []struct {
			Name string `json:"name"`
			In   string `json:"in"`
		} `json:"parameters"`
		Responses map[string]struct {
			Content map[string]struct {
				Schema struct {
					Ref  string `json:"$ref"`
					Type any    `json:"type"`
				} `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Required []string `json:"required"`
		} `json:"schemas"`
	} `json:"components"`
}

func (w *world) document(t *testing.T) document {
	t.Helper()
	got := w.call(t, w.callers["anonymous"], request{method: "GET", path: "/openapi.json"})
	var d document
	if err := json.Unmarshal(got.body, &d); err != nil || got.status != 200 {
		t.Fatalf("openapi.json: %d %v", got.status, err)
	}
	return d
}

// stable is the document without the version of the build, with its members in order.
func stable(t *testing.T, text []byte) []byte {
	t.Helper()
	var d map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&d); err != nil {
		t.Fatal(err)
	}
	d["info"].(map[string]any)["version"] = "v1"
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// The document that is checked in is the one that the director serves. go test ./director/httpapi -run OpenAPI -update writes it.
func TestOpenAPIIsCheckedIn(t *testing.T) {
	t.Parallel()
	serve := func() []byte {
		text, err := httpapi.New(nil, slog.New(slog.DiscardHandler)).OpenAPI()
		if err != nil {
			t.Fatal(err)
		}
		return stable(t, text)
	}
	served := serve()
	if again := serve(); !bytes.Equal(served, again) {
		t.Fatal("the document is not the same twice")
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(openapiFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(openapiFile, served, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(openapiFile)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(kept, served) {
		return
	}
	a, b := strings.Split(string(kept), "\n"), strings.Split(string(served), "\n")
	for i := range b {
		if i >= len(a) || a[i] != b[i] {
			t.Fatalf("%s is not what is served, from line %d on (%q); write it with: go test ./director/httpapi -run OpenAPI -update", openapiFile, i+1, b[i])
		}
	}
	t.Fatalf("%s is longer than what is served; write it with: go test ./director/httpapi -run OpenAPI -update", openapiFile)
}

// The document has every route with every parameter of its path.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	t.Parallel()
	a := httpapi.New(nil, slog.New(slog.DiscardHandler))
	text, err := a.OpenAPI()
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, r := range a.Routes() {
		operation, ok := d.Paths[r.Path][strings.ToLower(r.Method)]
		if !ok || operation.OperationID != r.ID {
			t.Errorf("%s %s (%s) is not in the document", r.Method, r.Path, r.ID)
			continue
		}
		for _, name := range parameters(r.Path) {
			found := false
			for _, p := range operation.Parameters {
				found = found || p.Name == name && p.In == "path"
			}
			if !found {
				t.Errorf("%s: the document has no path parameter %s", r.ID, name)
			}
		}
	}
}

// No struct embeds an unexported type: huma would describe its members and never fill them.
func TestInputsEmbedExportedTypes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	embedded := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, f := range s.Fields.List {
				if len(f.Names) > 0 {
					continue
				}
				embedded++
				if id, ok := f.Type.(*ast.Ident); ok && !id.IsExported() {
					t.Errorf("%s: a struct embeds %s; give it a capital letter, else huma leaves it empty", set.Position(f.Pos()), id.Name)
				}
			}
			return true
		})
	}
	if embedded == 0 {
		t.Error("no embedded struct was found: the test looks in the wrong place")
	}
}
