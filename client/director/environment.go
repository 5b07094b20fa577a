package director

import (
	"context"
	"net/http"

	"conpaas/client/api"
)

// Environment gives the environment variables of the programs of a service, secrets masked.
func (c *Client) Environment(ctx context.Context, application, service string) (api.Environment, error) {
	return get[api.Environment](ctx, c, servicePath(application, service, "environment"))
}

// ChangeEnvironment begins to change variables, secrets and links of a service.
func (c *Client) ChangeEnvironment(ctx context.Context, application, service string, in api.EnvironmentChange) (api.Operation, error) {
	return send[api.Operation](ctx, c, http.MethodPut, servicePath(application, service, "environment"), in)
}

// Script gives the start-up script of a service. api.CodeNotFound: it has none.
func (c *Client) Script(ctx context.Context, application, service string) (api.Script, error) {
	return get[api.Script](ctx, c, servicePath(application, service, "script"))
}

// SetScript gives a service a start-up script in place of the one that it has.
func (c *Client) SetScript(ctx context.Context, application, service string, in api.ScriptChange) (api.Script, error) {
	return send[api.Script](ctx, c, http.MethodPut, servicePath(application, service, "script"), in)
}

// RemoveScript takes the start-up script of a service away.
func (c *Client) RemoveScript(ctx context.Context, application, service string) error {
	_, err := send[struct{}](ctx, c, http.MethodDelete, servicePath(application, service, "script"), nil)
	return err
}
