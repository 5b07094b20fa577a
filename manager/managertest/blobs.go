package managertest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Blob gives a blob of the agent as far as it has come.
func (a *Agent) Blob(digest string) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.blobs[digest])
}

// Cut makes the agent break off the next blob after so many bytes.
func (a *Agent) Cut(bytes int) { a.edit(func() { a.cut = bytes }) }

// Digest is the name of a blob.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// lacks is called with the lock held.
func (a *Agent) lacks() (out []string) {
	for _, digest := range a.spec.Blobs {
		if Digest(a.blobs[digest]) != digest {
			out = append(out, digest)
		}
	}
	return out
}

func (a *Agent) blobRoutes(w *wire.API, rule wire.Rule) {
	w.Raw(wire.Route{Method: http.MethodHead, Path: "/v1/blobs/{sha256}", ID: "find-blob"}, rule, a.findBlob)
	w.Raw(wire.Route{Method: http.MethodPut, Path: "/v1/blobs/{sha256}", ID: "put-blob", MaxBody: 64 << 20}, rule, a.putBlob)
}

func (a *Agent) findBlob(w http.ResponseWriter, _ *http.Request, path func(string) string) error {
	data := a.Blob(path("sha256"))
	if data == nil {
		return api.Errorf(api.CodeNotFound, "nothing")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if Digest(data) != path("sha256") {
		w.WriteHeader(http.StatusAccepted)
	}
	return nil
}

func (a *Agent) putBlob(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	var offset, last, total int
	if _, err := fmt.Sscanf(r.Header.Get("Content-Range"), "bytes %d-%d/%d", &offset, &last, &total); err != nil {
		return api.InField("Content-Range", "%v", err)
	}
	a.mu.Lock()
	body := io.Reader(r.Body)
	cut := a.cut
	a.mu.Unlock()
	if cut > 0 {
		body = io.LimitReader(body, int64(cut))
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if whole := append(a.Blob(path("sha256"))[:offset], data...); len(whole) == total && Digest(whole) != path("sha256") {
		a.edit(func() { delete(a.blobs, path("sha256")) })
		return api.InField("sha256", "it is %s", Digest(whole))
	}
	a.edit(func() {
		a.cut = 0
		if a.blobs == nil {
			a.blobs = map[string][]byte{}
		}
		a.blobs[path("sha256")] = append(slices.Clone(a.blobs[path("sha256")][:offset]), data...)
	})
	if cut > 0 {
		return api.Errorf(api.CodeUnavailable, "it breaks off after %d bytes", cut)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
