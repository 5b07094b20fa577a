package command_test

import (
	"io"
	"net/http"

	"conpaas/client/api"
)

// actionRoutes do actions of any service: the dump of the service php is broken off.
func (f *fake) actionRoutes(add func(pattern, query string, public bool, h func(http.ResponseWriter, *http.Request)), service string) {
	add("POST "+service+"/actions/dump", "", false, f.withService(func(w http.ResponseWriter, _ *http.Request, s *api.Service) {
		w.Header().Set(api.HeaderOperation, "op999")
		_, _ = io.WriteString(w, "CREATE TABLE a;\n")
		_ = http.NewResponseController(w).Flush()
		if s.Type == api.PHP {
			panic(http.ErrAbortHandler)
		}
	}))
	add("POST "+service+"/actions/load-dump", "new", false, f.withService(func(w http.ResponseWriter, r *http.Request, _ *api.Service) {
		text, err := io.ReadAll(r.Body)
		switch {
		case err != nil || string(text) != "CREATE TABLE a;\n":
			problem(w, api.Errorf(api.CodeConflict, "it is %q, %v", text, err))
			return
		case r.URL.Query().Get("new") == "On":
			w.Header().Set(api.HeaderSkipped, "there is a database")
		}
		w.Header().Set(api.HeaderOperation, "op998")
		w.WriteHeader(http.StatusNoContent)
	}))
	add("POST "+service+"/commands/{command}", "", false, f.withService(func(w http.ResponseWriter, r *http.Request, _ *api.Service) {
		in, ok := body[api.CommandRun](f, w, r)
		if ok && len(in.Parameters) > 2 {
			problem(w, api.InField("parameters", "%d are too many for %s", len(in.Parameters), r.PathValue("command")))
		} else if ok {
			f.begin(api.OpServiceCommand)(w, r)
		}
	}))
	add("PUT "+service+"/secrets/password", "", false, f.withService(func(w http.ResponseWriter, r *http.Request, _ *api.Service) {
		in, ok := body[api.SecretChange](f, w, r)
		if ok && len(in.Value.Reveal()) < 8 {
			problem(w, api.InField("value", "want 8"))
		} else if ok {
			f.begin(api.OpServiceConfigure)(w, r)
		}
	}))
}
