package httpapi

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"conpaas/agent/app"
	"conpaas/client/api"
	"conpaas/client/wire"
)

// Every route is the manager's alone.
func TestRoutesAreTheManagers(t *testing.T) {
	list := routes(nil, slog.New(slog.DiscardHandler)).Routes()
	if len(list) != 9 {
		t.Errorf("there are %d routes; want the 9 of the contract", len(list))
	}
	for _, r := range list {
		if r.Rule != "manager" {
			t.Errorf("%s %s has the rule %q", r.Method, r.Path, r.Rule)
		}
	}
	for _, kind := range []wire.Kind{wire.KindAnonymous, wire.KindUser, wire.KindAgent, wire.KindDirector} {
		if err := manager().Allow(t.Context(), wire.Caller{Kind: kind}, nil); api.CodeFrom(err) != api.CodeForbidden {
			t.Errorf("a caller of kind %q: %v", kind, err)
		}
	}
	if err := manager().Allow(t.Context(), wire.Caller{Kind: wire.KindManager}, nil); err != nil {
		t.Error(err)
	}
}

func TestReadPart(t *testing.T) {
	for _, c := range []struct {
		header string
		length int64
		want   app.Part
		ok     bool
	}{
		{"", 10, app.Part{Total: 10}, true},
		{"", -1, app.Part{}, false},
		{"bytes 0-9/10", 10, app.Part{Total: 10}, true},
		{"bytes 4-9/10", 6, app.Part{Offset: 4, Total: 10}, true},
		{"bytes */10", 0, app.Part{Offset: 10, Total: 10}, true},
		{"bytes 4-8/10", 5, app.Part{}, false},
		{"bytes 10-9/10", 0, app.Part{}, false},
		{"bytes -1-9/10", 0, app.Part{}, false},
		{"bytes 4-9/*", 6, app.Part{}, false},
		{"bytes 4-9/10 ", 6, app.Part{}, false},
		{"bytes 04-9/10", 6, app.Part{}, false},
		{"lines 4-9/10", 6, app.Part{}, false},
		{"bytes 0-99999999999999999999/100000000000000000000", 6, app.Part{}, false},
	} {
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r.ContentLength = c.length
		if c.header != "" {
			r.Header.Set("Content-Range", c.header)
		}
		got, err := readPart(r)
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%q: %+v, %v", c.header, got, err)
		}
	}
}

// What is let through lies within the blob, and is what was meant.
func FuzzReadPart(f *testing.F) {
	f.Add("bytes 4-9/10")
	f.Add("bytes */10")
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest(http.MethodPut, "/", nil)
		r.Header.Set("Content-Range", header)
		part, err := readPart(r)
		if err != nil || header == "" {
			return
		}
		if part.Offset < 0 || part.Offset > part.Total {
			t.Errorf("%q gives %+v", header, part)
		}
		if header != fmt.Sprintf("bytes %d-%d/%d", part.Offset, part.Total-1, part.Total) && header != fmt.Sprintf("bytes */%d", part.Total) {
			t.Errorf("%q is read as %+v", header, part)
		}
	})
}
