package wire

import (
	"io"
	"net/http"
	"time"

	"conpaas/client/api"
)

// ServeContent answers with a file as http.ServeContent does, ranges and conditions included; what that refuses is
// answered as an error of the route.
func ServeContent(w http.ResponseWriter, r *http.Request, modified time.Time, content io.ReadSeeker) error {
	c := &contentWriter{ResponseWriter: w}
	http.ServeContent(c, r, "", modified, content)
	if c.refused == 0 {
		return nil
	}
	header := w.Header()
	header.Del("Content-Length")
	header.Del("Last-Modified")
	e := api.InField("Range", "there is nothing in this range: %.100q", r.Header.Get("Range"))
	if c.refused == http.StatusPreconditionFailed {
		e = api.Errorf(api.CodeConflict, "a condition of the request is not met: the file is another one, or of another time")
	}
	e.Status = c.refused
	return e
}

// contentWriter keeps back the answer of http.ServeContent where it is an error.
type contentWriter struct {
	http.ResponseWriter
	refused int
}

// WriteHeader sends the status of a success.
func (c *contentWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		c.refused = status
		return
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the file.
func (c *contentWriter) Write(p []byte) (int, error) {
	if c.refused != 0 {
		return len(p), nil
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (c *contentWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }
