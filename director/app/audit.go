package app

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/store"
)

// longestAgent bounds what is kept of a program's name for itself.
const longestAgent = 80

// parameter finds the parameters of a route's path.
var parameter = regexp.MustCompile(`\{([a-z0-9_]+)`)

// Audited follows a request for the audit log. A request that changes things leaves its entry with its first transaction; for
// refusals, and for successes without a transaction, the function that it gives writes one when the request has been answered.
func (d *Director) Audited(ctx context.Context, v wire.Visit) (context.Context, func(status int, cause error)) {
	from, _, _ := strings.Cut(v.Request.RemoteAddr, "%") // without the zone
	if i := strings.LastIndex(from, ":"); i >= 0 {
		from = strings.Trim(from[:i], "[]")
	}
	t := &store.Trail{
		Origin: store.Origin{
			User: v.Caller.User, Who: who(v.Caller), Credential: v.Caller.Credential, Address: from, Agent: agentName(v.Request.UserAgent()),
			Request: wire.RequestID(ctx),
		},
		Action:  v.Route.ID,
		Mutates: v.Route.Method != http.MethodGet && v.Route.Method != http.MethodHead,
	}
	for _, m := range parameter.FindAllStringSubmatch(v.Route.Path, -1) {
		t.Names(m[1], v.Path(m[1]))
	}
	return store.WithTrail(ctx, t), func(status int, cause error) {
		refused := status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound
		failed := status >= http.StatusBadRequest
		if failed && (t.Mutates || refused) || !failed && t.Mutates && !t.Written() {
			d.auditor.add(outcome(t.Entry(), status, cause))
		}
	}
}

// who names a caller in the audit log.
func who(c wire.Caller) string {
	if c.Kind == wire.KindUser {
		return c.UserName
	}
	return c.String()
}

// agentName gives what a program calls itself, as far as it can be shown.
func agentName(agent string) string {
	agent = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(agent, ""))
	return agent[:min(len(agent), longestAgent)]
}

// outcome completes an entry with how its request ended.
func outcome(e store.AuditEntry, status int, cause error) store.AuditEntry {
	e.Outcome = store.OutcomeDone
	if status < http.StatusBadRequest {
		return e
	}
	e.Outcome = string(api.CodeOf(status))
	if known, ok := errors.AsType[*api.Error](cause); ok {
		e.Outcome, e.Detail = string(known.Code), known.Error()
		e.Detail = strings.ToValidUTF8(e.Detail[:min(len(e.Detail), 300)], "")
	}
	return e
}

// AuditQuery says which entries are wanted; the zero value wants all that the actor may see.
type AuditQuery struct {
	User         string // who did it: a user's name, or for example "agent n2"
	Application  string // id, name or OWNER:NAME; the id also after it is deleted
	Action       string // beginning of the route's id
	Address      string
	Failed       bool
	Since, Until time.Time // zero: no bound
}

// Audit gives a page of the audit log, the newest first. An administrator sees all, others what they did themselves and what was
// done with their applications; from where others did that, they do not see.
func (d *Director) Audit(ctx context.Context, a Actor, q AuditQuery, p Page) (list api.List[api.AuditEntry], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	f := store.AuditFilter{Who: q.User, Action: q.Action, Address: q.Address, Failed: q.Failed, Since: q.Since, Until: q.Until}
	if !a.Admin {
		f.VisibleTo = a.ID
	}
	d.auditor.flush(ctx, false) // who asks sees also what was refused just now
	err = d.store.View(ctx, func(r *store.Read) error {
		if q.Application != "" {
			if f.Application, err = auditedApplication(r, a, q.Application); err != nil {
				return err
			}
		}
		entries, next, err := r.Audit(f, page)
		list.Items, list.Next = make([]api.AuditEntry, len(entries)), cursor(next)
		for i, e := range entries {
			list.Items[i] = showAudit(a, e)
		}
		return err
	})
	return list, problem(err)
}

// auditedApplication gives the id of an application whose history is asked for. One that is deleted has nothing but its id.
func auditedApplication(r *store.Read, a Actor, ref string) (api.ApplicationID, error) {
	if id, err := strconv.ParseInt(ref, 10, 64); err == nil && id > 0 {
		return api.ApplicationID(id), nil
	}
	owner, name, foreign := strings.Cut(ref, store.OwnerSeparator)
	if !foreign || !a.Admin {
		v, err := findApplication(r, a, ref, toView)
		return v.ID, err
	}
	u, err := r.NamedUser(owner)
	if err != nil {
		return 0, err
	}
	v, err := findApplication(r, Actor{ID: u.ID, Name: u.Name}, name, toOwn)
	return v.ID, err
}

func showAudit(a Actor, e store.AuditEntry) api.AuditEntry {
	out := api.AuditEntry{
		ID: e.ID, Time: e.Time, Who: e.Who, Credential: e.Credential, Address: e.Address, Agent: e.Agent, Request: e.Request, Action: e.Action,
		Application: e.Application, Object: e.Object, Outcome: e.Outcome, Detail: e.Detail, Count: e.Count,
	}
	if !a.Admin && e.User != a.ID {
		out.Credential, out.Address, out.Agent = "", "", ""
	}
	for _, c := range e.Changes {
		out.Changes = append(out.Changes, api.AuditChange{What: c.What, Before: c.Before, After: c.After})
	}
	return out
}
