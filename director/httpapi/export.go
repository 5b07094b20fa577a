package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"
)

// exportUser sends an api.UserExport piece by piece. What breaks off is no JSON.
func (s *server) exportUser(w http.ResponseWriter, r *http.Request, path func(string) string) error {
	export, err := s.director.ExportUser(r.Context(), actor(r.Context()), path("user"))
	if err != nil {
		return err
	}
	user, err := json.Marshal(export.User)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := fmt.Fprintf(w, `{"user":%s`, user); err != nil {
		return err
	}
	if err := sendItems(w, "tokens", export.Tokens); err != nil {
		return err
	}
	if err := sendItems(w, "certificates", export.Certificates); err != nil {
		return err
	}
	if err := sendItems(w, "credit", export.Credit); err != nil {
		return err
	}
	if err := sendItems(w, "applications", export.Applications); err != nil {
		return err
	}
	if err := sendItems(w, "orphans", export.Orphans); err != nil {
		return err
	}
	if err := sendItems(w, "events", export.Events); err != nil {
		return err
	}
	_, err = io.WriteString(w, "}\n")
	return err
}

// sendItems sends one more member of an object, a list.
func sendItems[T any](w http.ResponseWriter, name string, items iter.Seq2[T, error]) error {
	out := http.NewResponseController(w)
	before := fmt.Sprintf(`,%q:[`, name)
	for item, err := range items {
		if err != nil {
			return err
		}
		text, err := json.Marshal(item)
		if err != nil {
			return err
		}
		if err := out.SetWriteDeadline(time.Now().Add(30 * time.Second)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s%s", before, text); err != nil {
			return err
		}
		before = ","
	}
	end := "]"
	if before != "," {
		end = before + end
	}
	_, err := io.WriteString(w, end)
	return err
}
