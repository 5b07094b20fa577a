package wire

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"conpaas/client/api"
)

// Whatever a body holds, its error names a part of the request and no type of the program.
func FuzzDecode(f *testing.F) {
	for _, text := range []string{`{"node":"n1","overlay":{"peers":[{}]},"roles":[{"config":{"a":1}}]}`, `{"revision":1e400}`, `{"overlay":{"address":"x"}}`, `[`, `{}{}`, "\xff", `{"x":1}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest("PUT", "/", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
		var spec api.NodeSpec
		err := Decode(r, &spec)
		if err == nil {
			return
		}
		p := newProblem("id", describe(t.Context(), err))
		if p.Code != api.CodeInvalid || p.Field == "" || p.Detail == "" || strings.Contains(p.Detail, "Go ") || len(p.Detail) > detailMax+3 {
			t.Errorf("%q: %+v", text, p)
		}
	})
}

// Whatever a child answers as an error, it becomes one that the caller's own caller may see: bounded, one line, a code that is
// about the request.
func FuzzRefusal(f *testing.F) {
	f.Add(422, problemType, `{"code":"invalid","detail":"no","field":"nodes"}`)
	f.Add(500, problemType, `{"code":"unauthenticated","detail":"\u001b[31m","status":200}`)
	f.Add(404, "text/html", "<html>")
	f.Add(503, "application/json", `{"code":7}`)
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		if status < 300 || status > 999 {
			return
		}
		u, _ := url.Parse("http://n1/v1/spec")
		answer := &http.Response{
			StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {kind}},
			Body: io.NopCloser(strings.NewReader(body)), Request: &http.Request{Method: "GET", URL: u},
		}
		err := refusal(answer)
		if _, ok := err.(interface{ Unwrap() error }); !ok && api.CodeFrom(err) == "" {
			t.Errorf("%d %q: %v", status, body, err)
		}
		p := newProblem("id", describe(t.Context(), Passed(t.Context(), "the manager", err)))
		if !passes(p.Code) && p.Code != api.CodeInternal || len(p.Detail) > detailMax+3 || strings.ContainsAny(p.Detail, "\x1b\n\r\x00") || !utf8.ValidString(p.Detail) {
			t.Errorf("%d %q: %+v", status, body, p)
		}
	})
}

// Whatever a query holds, it is refused or has known members with values that they may have.
func FuzzCheckQuery(f *testing.F) {
	for _, text := range []string{"lines=1&follow=true&name=a", "lines=%zz", "lines=01", "lines=1&lines=2", "a;b", "=", "lines=18446744073709551616"} {
		f.Add(text)
	}
	known := []Query{QueryNumber("lines", 0, 100, ""), QueryFlag("follow", ""), QueryText("name", "")}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.RawQuery = text
		if err := checkQuery(text, known, false); err != nil {
			if refused, ok := err.(*api.Error); !ok || !strings.HasPrefix(refused.Field, "query") {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if n := Number(r, "lines", 7); n < 0 || n > 100 {
			t.Errorf("%q: lines is %d", text, n)
		}
	})
}

// Whatever a child says of itself is refused as that header, or has a boot id.
func FuzzReadHello(f *testing.F) {
	for _, text := range []string{`{"node":"n1","boot_id":"a","version":"1"}`, `{"boot_id":1}`, `null`, `{`, strings.Repeat("[", 5000)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest("GET", "/v1/connect", nil)
		r.Header.Set("Upgrade", upgradeName)
		r.Header.Set(api.HeaderHello, text)
		hello, err := readHello(r)
		if err == nil && hello.BootID == "" || err != nil && api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("%q: %+v, %v", text, hello, err)
		}
	})
}

// Whatever the file of an epoch holds, it is that epoch or damaged.
func FuzzParseEpoch(f *testing.F) {
	text, _ := json.Marshal(api.Epoch{Fence: 1, Incarnation: 2, Revision: 3})
	f.Add(append(text, " "+sum(text)+"\n"...))
	f.Add([]byte("{} "))
	f.Fuzz(func(t *testing.T, text []byte) {
		if epoch, err := parseEpoch(text); err != nil && epoch != (api.Epoch{}) && !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%q: %v", text, err)
		}
	})
}
