package director

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"conpaas/client/api"
)

// AuditQuery says which entries of the audit log are wanted. The zero value wants all that the user may see.
type AuditQuery struct {
	User, Application, Action, From string // see the route list-audit
	Failed                          bool
	Since, Until                    time.Time
	Limit                           int // at most so many, the newest; 0: all
}

func (q AuditQuery) values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{"user": q.User, "application": q.Application, "action": q.Action, "from": q.From} {
		if value != "" {
			v.Set(name, value)
		}
	}
	for name, value := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !value.IsZero() {
			v.Set(name, value.UTC().Format(time.RFC3339Nano))
		}
	}
	if q.Failed {
		v.Set("failed", "true")
	}
	return v
}

// Audit gives entries of the audit log, the oldest first.
func (c *Client) Audit(ctx context.Context, q AuditQuery) ([]api.AuditEntry, error) {
	const page = 1000
	entries, query := []api.AuditEntry{}, q.values()
	for q.Limit == 0 || len(entries) < q.Limit {
		size := page
		if q.Limit > 0 {
			size = min(page, q.Limit-len(entries))
		}
		query.Set("limit", strconv.Itoa(size))
		part, err := get[api.List[api.AuditEntry]](ctx, c, with(path("audit"), query))
		if err != nil {
			return nil, err
		}
		entries = append(entries, part.Items...)
		if part.Next == "" || part.Next == query.Get("after") {
			break
		}
		query.Set("after", part.Next)
	}
	slices.Reverse(entries)
	return entries, nil
}
