package command_test

import (
	"net/http"

	"conpaas/client/api"
)

func (f *fake) share(w http.ResponseWriter, r *http.Request, a *api.Application) {
	in, ok := body[api.ShareChange](f, w, r)
	if !ok {
		return
	}
	answer(w, http.StatusOK, api.Share{Application: a.ID, User: r.PathValue("user"), Level: in.Level, Created: begun})
}

// audit answers with the search itself, as what was searched for.
func (f *fake) audit(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	entry := api.AuditEntry{
		ID: 7, Time: begun, Who: "bob", Address: "192.0.2.7", Action: "start-service", Application: 3, Object: "application " + q.Get("application"),
		Outcome: "done", Count: 1, Changes: []api.AuditChange{{What: "wanted", Before: "stopped", After: "running"}, {What: "limit", After: q.Get("limit")}},
	}
	flood := api.AuditEntry{ID: 8, Time: begun, Who: "anonymous", Action: "login", Outcome: "unauthenticated", Detail: "wrong \x1b[31mpassword", Count: 40}
	answer(w, http.StatusOK, api.List[api.AuditEntry]{Items: []api.AuditEntry{flood, entry}})
}
