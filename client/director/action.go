package director

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"conpaas/client/api"
	"conpaas/client/wire"
)

// Action is an action that runs, or has ended. Its output is read as it comes: io.EOF is the end of the whole output, another error that of
// one that has broken off, and then Operation names the operation that has the reason.
type Action struct {
	io.ReadCloser
	Operation api.OperationID
	Skipped   string // why nothing was done, where that is well; "": something was
}

// Act has a machine of a service do an action of its type with the input in, nil for none. Where in is an io.Closer it is
// closed in the end, and a Read of it that waits is to stop then. The caller closes the Action.
func (c *Client) Act(ctx context.Context, application, service, action string, params url.Values, in io.Reader) (*Action, error) {
	answer, err := wire.Transfer(ctx, c.wire, http.MethodPost, with(servicePath(application, service, "actions", action), params), in)
	if err != nil {
		return nil, c.refused(err)
	}
	return &Action{ReadCloser: answer, Operation: api.OperationID(answer.Header.Get(api.HeaderOperation)), Skipped: answer.Header.Get(api.HeaderSkipped)}, nil
}

// Command has all machines of a service begin a command of its type; the operation ends when they have.
func (c *Client) Command(ctx context.Context, application, service, command string, parameters []string) (api.Operation, error) {
	return post[api.Operation](ctx, c, servicePath(application, service, "commands", command), api.CommandRun{Parameters: parameters})
}

// SetSecret begins to replace a secret of a service.
func (c *Client) SetSecret(ctx context.Context, application, service, name string, value api.Secret) (api.Operation, error) {
	return send[api.Operation](ctx, c, http.MethodPut, servicePath(application, service, "secrets", name), api.SecretChange{Value: value})
}
