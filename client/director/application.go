package director

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Applications lists the user's applications.
func (c *Client) Applications(ctx context.Context) ([]api.Application, error) {
	return list[api.Application](ctx, c, path("applications"), nil)
}

// CreateApplication makes an application, stopped and without services.
func (c *Client) CreateApplication(ctx context.Context, in api.ApplicationCreate) (api.Application, error) {
	return post[api.Application](ctx, c, path("applications"), in)
}

// Application gives one application.
func (c *Client) Application(ctx context.Context, application string) (api.Application, error) {
	return get[api.Application](ctx, c, path("applications", application))
}

// RenameApplication gives an application another name.
func (c *Client) RenameApplication(ctx context.Context, application, name string) (api.Application, error) {
	return send[api.Application](ctx, c, http.MethodPatch, path("applications", application), api.Rename{Name: name})
}

// DeleteApplication begins to delete an application with its services and machines.
func (c *Client) DeleteApplication(ctx context.Context, application string) (api.Operation, error) {
	return send[api.Operation](ctx, c, http.MethodDelete, path("applications", application), nil)
}

// StartApplication begins to start the application's manager.
func (c *Client) StartApplication(ctx context.Context, application string) (api.Operation, error) {
	return post[api.Operation](ctx, c, path("applications", application, "start"), nil)
}

// StopApplication begins to stop the application: all its machines go, everything else is kept.
func (c *Client) StopApplication(ctx context.Context, application string) (api.Operation, error) {
	return post[api.Operation](ctx, c, path("applications", application, "stop"), nil)
}

// ApplicationNetwork gives the overlay network with the path of every pair of nodes.
func (c *Client) ApplicationNetwork(ctx context.Context, application string) (api.ApplicationNetwork, error) {
	return get[api.ApplicationNetwork](ctx, c, path("applications", application, "network"))
}

// ApplicationEvents lists what happened to the application after the event with an id, oldest first.
func (c *Client) ApplicationEvents(ctx context.Context, application string, after int64) ([]api.Event, error) {
	return list[api.Event](ctx, c, path("applications", application, "events"), afterEvent(after))
}

// FollowApplicationEvents gives the events after the one with an id, and then those that come, until ctx ends
// or the connection breaks.
func (c *Client) FollowApplicationEvents(ctx context.Context, application string, after int64) iter.Seq2[api.Event, error] {
	query := afterEvent(after)
	query.Set("follow", "true")
	return values(ctx, c, http.MethodGet, with(path("applications", application, "events"), query), nil, wire.Events[api.Event])
}

func afterEvent(id int64) url.Values {
	query := url.Values{}
	if id > 0 {
		query.Set("after", strconv.FormatInt(id, 10))
	}
	return query
}

// LogQuery says which part of a log is wanted.
type LogQuery struct {
	Name   string      // of the node's log; empty: the agent's own. Only for NodeLog
	Kind   api.LogKind // which logs; empty: the agents' own. Only for ServiceLog
	Lines  int         // the last lines; 0: the director's default
	Follow bool        // and those that come
}

func (q LogQuery) values() url.Values {
	query := url.Values{}
	if q.Name != "" {
		query.Set("name", q.Name)
	}
	if q.Kind != "" {
		query.Set("kind", string(q.Kind))
	}
	if q.Lines > 0 {
		query.Set("lines", strconv.Itoa(q.Lines))
	}
	if q.Follow {
		query.Set("follow", "true")
	}
	return query
}

// ApplicationLog gives the log of the application's manager as text. The caller closes it.
func (c *Client) ApplicationLog(ctx context.Context, application string, q LogQuery) (io.ReadCloser, error) {
	return stream(ctx, c, http.MethodGet, with(path("applications", application, "log"), q.values()), nil)
}
