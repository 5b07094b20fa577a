package store

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"conpaas/client/api"
)

// Origin says who makes a request, and from where.
type Origin struct {
	User       api.UserID // 0: no user
	Who        string     // name of the user, or for example "agent n2", "anonymous"
	Credential string     // by what it is known, for example "token ci"
	Address    string     // IP address
	Agent      string     // what the program calls itself
	Request    string     // id of the request
}

// Trail follows one request through its transactions, for the audit log. What its transactions change is written beside the
// change, so that neither is there without the other.
type Trail struct {
	Origin
	Action  string // id of the route
	Mutates bool   // the transactions of others leave no entry

	mu          sync.Mutex
	objects     []object
	application api.ApplicationID
	owner       api.UserID
	written     bool
}

// object is a thing that a request names.
type object struct{ kind, name string }

type trailKey struct{}

// WithTrail has the transactions of ctx leave their entries on a trail.
func WithTrail(ctx context.Context, t *Trail) context.Context {
	return context.WithValue(ctx, trailKey{}, t)
}

func trailOf(ctx context.Context) *Trail {
	t, _ := ctx.Value(trailKey{}).(*Trail)
	return t
}

// Names adds a thing that the request names, as it names it.
func (t *Trail) Names(kind, name string) {
	if name != "" {
		t.objects = append(t.objects, object{kind, shorten(name, 80)})
	}
}

// Names adds a thing that the request of ctx names where its path does not.
func Names(ctx context.Context, kind, name string) {
	if t := trailOf(ctx); t != nil {
		t.Names(kind, name)
	}
}

// Proven tells that the request has turned out to be a user's.
func (tx *Tx) Proven(u User) {
	if tx.trail != nil {
		tx.trail.User, tx.trail.Who = u.ID, u.Name
	}
}

// ProvenNode tells that the request has turned out to be of the machine of a node of v, by its join token.
func (r *Read) ProvenNode(n Node, v Application) {
	if r.trail == nil {
		return
	}
	r.trail.Who, r.trail.Credential = "agent "+string(n.ID), "join token"
	if n.IsManager() {
		r.trail.Who = "manager " + string(n.ID)
	}
	r.trail.about(v)
}

// Written tells whether a transaction has left an entry.
func (t *Trail) Written() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.written
}

func (t *Trail) wrote() {
	if t == nil || !t.Mutates {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.written = true
}

// about tells which application a request means, also where the caller has no right to know it.
func (t *Trail) about(v Application) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.application, t.owner = v.ID, v.Owner
	full := object{"application", fmt.Sprintf("%s (%s)", v.Name, v.ID)}
	for i, o := range t.objects {
		if o.kind == full.kind {
			t.objects[i] = full
			return
		}
	}
	t.objects = append([]object{full}, t.objects...)
}

// Entry gives what the trail says of its request; the outcome is for the caller to add.
func (t *Trail) Entry() AuditEntry {
	t.mu.Lock()
	defer t.mu.Unlock()
	var names []string
	for _, o := range t.objects {
		names = append(names, o.kind+" "+o.name)
	}
	return AuditEntry{Origin: t.Origin, Action: t.Action, Application: t.application, Owner: t.owner, Object: strings.Join(names, ", "), Count: 1}
}

// Change is one thing that a request has changed. Secrets are masked.
type Change struct {
	What   string `json:"what"`
	Before string `json:"before,omitempty"` // "": there was nothing
	After  string `json:"after,omitempty"`
}

// masked stands for a secret in a Change.
const masked = "***"

// changed notes what the transaction changes, for its entry in the audit log.
func (tx *Tx) changed(what, before, after string) {
	if tx.trail == nil || before == after && before != masked || len(tx.changes) >= mostChanges {
		return
	}
	tx.changes = append(tx.changes, Change{What: shorten(what, 80), Before: shorten(before, 200), After: shorten(after, 200)})
}

// mostChanges bounds an entry.
const mostChanges = 50

func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// note leaves the entry of a transaction that is about to be committed: the first of a request always does, a later one
// where it has changed something.
func (tx *Tx) note() error {
	t := tx.trail
	if t == nil || !t.Mutates || t.Written() && len(tx.changes) == 0 {
		return nil
	}
	e := t.Entry()
	e.Changes, e.Outcome = tx.changes, OutcomeDone
	return tx.AddAudit(e)
}

// Ran notes a command that is about to run on a machine, for the entry of the transaction. Its arguments may hold secrets, so
// they are only counted.
func (tx *Tx) Ran(command []string) {
	tx.changed("command", "", fmt.Sprintf("%s and %d arguments", command[0], len(command)-1))
}
