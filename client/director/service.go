package director

import (
	"context"
	"io"
	"net/http"

	"conpaas/client/api"
)

// ServiceTypes lists the service types that the director offers.
func (c *Client) ServiceTypes(ctx context.Context) ([]api.ServiceKind, error) {
	return list[api.ServiceKind](ctx, c, path("service-types"), nil)
}

// Services lists the services of an application.
func (c *Client) Services(ctx context.Context, application string) ([]api.Service, error) {
	return list[api.Service](ctx, c, servicePath(application), nil)
}

// AddService makes a service, stopped.
func (c *Client) AddService(ctx context.Context, application string, in api.ServiceCreate) (api.Service, error) {
	return post[api.Service](ctx, c, servicePath(application), in)
}

// Service gives one service.
func (c *Client) Service(ctx context.Context, application, service string) (api.Service, error) {
	return get[api.Service](ctx, c, servicePath(application, service))
}

// RenameService gives a service another name.
func (c *Client) RenameService(ctx context.Context, application, service, name string) (api.Service, error) {
	return send[api.Service](ctx, c, http.MethodPatch, servicePath(application, service), api.Rename{Name: name})
}

// RemoveService begins to remove a service with its machines.
func (c *Client) RemoveService(ctx context.Context, application, service string) (api.Operation, error) {
	return send[api.Operation](ctx, c, http.MethodDelete, servicePath(application, service), nil)
}

// StartService begins to start a service.
func (c *Client) StartService(ctx context.Context, application, service string) (api.Operation, error) {
	return post[api.Operation](ctx, c, servicePath(application, service, "start"), nil)
}

// StopService begins to stop a service: its machines go, everything else is kept.
func (c *Client) StopService(ctx context.Context, application, service string) (api.Operation, error) {
	return post[api.Operation](ctx, c, servicePath(application, service, "stop"), nil)
}

// AddNodes begins to add machines to a service.
func (c *Client) AddNodes(ctx context.Context, application, service string, in api.NodesChange) (api.Operation, error) {
	return post[api.Operation](ctx, c, servicePath(application, service, "add-nodes"), in)
}

// RemoveNodes begins to remove machines from a service.
func (c *Client) RemoveNodes(ctx context.Context, application, service string, in api.NodesChange) (api.Operation, error) {
	return post[api.Operation](ctx, c, servicePath(application, service, "remove-nodes"), in)
}

// ServiceNodes lists the machines of a service.
func (c *Client) ServiceNodes(ctx context.Context, application, service string) ([]api.Node, error) {
	return list[api.Node](ctx, c, servicePath(application, service, "nodes"), nil)
}

// ServiceLog gives the log of a service as text. The caller closes it.
func (c *Client) ServiceLog(ctx context.Context, application, service string, q LogQuery) (io.ReadCloser, error) {
	return stream(ctx, c, http.MethodGet, with(servicePath(application, service, "log"), q.values()), nil)
}

func servicePath(application string, rest ...string) string {
	return path(append([]string{"applications", application, "services"}, rest...)...)
}
