package httpapi

import (
	"fmt"
	"net/http"
	"strconv"

	"conpaas/client/api"
	"conpaas/manager/app"
)

// findBlob answers the length so far as Content-Length: 200 when the blob is complete, 202 when it is not.
func (s *server) findBlob(w http.ResponseWriter, _ *http.Request, path func(string) string) error {
	length, complete, err := s.worker.FindBlob(path("sha256"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(length, 10))
	if complete {
		w.WriteHeader(http.StatusOK)
	} else {
		w.WriteHeader(http.StatusAccepted)
	}
	return nil
}

// putBlob takes the body as the bytes that Content-Range names: to the end of the blob, from where it has come to.
// Without the header the body is the whole blob.
func (s *server) putBlob(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	part, err := readPart(r)
	if err != nil {
		return err
	}
	if err := s.worker.PutBlob(r.Context(), path("sha256"), part, r.Body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func readPart(r *http.Request) (app.Part, error) {
	text := r.Header.Get("Content-Range")
	if text == "" {
		if r.ContentLength < 0 {
			return app.Part{}, api.InField("Content-Range", "say how long the blob is, by Content-Length or Content-Range")
		}
		return app.Part{Total: r.ContentLength}, nil
	}
	var part app.Part
	var last int64
	if n, err := fmt.Sscanf(text, "bytes */%d", &part.Total); err == nil && n == 1 && text == fmt.Sprintf("bytes */%d", part.Total) {
		part.Offset = part.Total // nothing more comes; what is here is checked
		return part, nil
	}
	n, err := fmt.Sscanf(text, "bytes %d-%d/%d", &part.Offset, &last, &part.Total)
	if err != nil || n != 3 || text != fmt.Sprintf("bytes %d-%d/%d", part.Offset, last, part.Total) || last != part.Total-1 || part.Offset < 0 || part.Offset > last {
		return app.Part{}, api.InField("Content-Range", "%.80q is not \"bytes first-last/total\" with the blob's last byte", text)
	}
	return part, nil
}
