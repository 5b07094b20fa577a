package wire

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"conpaas/client/api"
)

func TestReadPart(t *testing.T) {
	for _, c := range []struct {
		header string
		length int64
		want   api.BlobPart
		ok     bool
	}{
		{"", 10, api.BlobPart{Total: 10}, true},
		{"", -1, api.BlobPart{}, false},
		{"bytes 0-9/10", 10, api.BlobPart{Total: 10}, true},
		{"bytes 4-9/10", 6, api.BlobPart{Offset: 4, Total: 10}, true},
		{"bytes */10", 0, api.BlobPart{Offset: 10, Total: 10}, true},
		{"bytes 4-8/10", 5, api.BlobPart{}, false},
		{"bytes 10-9/10", 0, api.BlobPart{}, false},
		{"bytes -1-9/10", 0, api.BlobPart{}, false},
		{"bytes 4-9/*", 6, api.BlobPart{}, false},
		{"bytes 4-9/10 ", 6, api.BlobPart{}, false},
		{"bytes 04-9/10", 6, api.BlobPart{}, false},
		{"lines 4-9/10", 6, api.BlobPart{}, false},
		{"bytes 0-99999999999999999999/100000000000000000000", 6, api.BlobPart{}, false},
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
