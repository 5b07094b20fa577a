package director

import (
	"context"

	"conpaas/certs"
	"conpaas/client/api"
)

// Outdated tells whether the last answer has said that other CA certificates are in force than the client trusts.
func (c *Client) Outdated() bool {
	said := c.transport.bundle.Load()
	return said != nil && *said != c.bundle
}

// Authority gives the CA certificates that are in force, over the connection that the present ones vouch for.
func (c *Client) Authority(ctx context.Context) (Authority, error) {
	bundle, err := get[api.CABundle](ctx, c, path("ca"))
	if err != nil {
		return Authority{}, err
	}
	return ParseAuthority([]byte(bundle.Certificates))
}

// CA gives the authorities and how far a rotation has come; for administrators, as the two that follow.
func (c *Client) CA(ctx context.Context) (api.CAState, error) {
	return get[api.CAState](ctx, c, path("ca", "authorities"))
}

// RotateCA begins a rotation. api.CodeConflict: one is under way.
func (c *Client) RotateCA(ctx context.Context) (api.CAState, error) {
	return post[api.CAState](ctx, c, path("ca", "rotate"), nil)
}

// RetireCA ends it. api.CodeConflict: nodes still wait for it, and it is not forced.
func (c *Client) RetireCA(ctx context.Context, in api.CARetire) (api.CAState, error) {
	return post[api.CAState](ctx, c, path("ca", "retire"), in)
}

// bundleName names the CA certificates of a PEM text.
func bundleName(pem []byte) (string, error) {
	list, err := certs.ParseCertificates(pem)
	return certs.BundleName(list), err
}
