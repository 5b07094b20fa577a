package director

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"conpaas/certs"
	"conpaas/client/api"
)

// KeyFile is a user's key with its certificate, for Config.Key.
type KeyFile struct {
	PEM     []byte // key and certificate, secret
	CA      []byte // CA certificates to trust, PEM
	Serial  string
	Name    string
	Expires time.Time
}

// CreateCertificate makes a key here and gets a certificate for it. It needs the token of a login.
func (c *Client) CreateCertificate(ctx context.Context, name string, life time.Duration) (KeyFile, error) {
	key, csr, err := newRequest()
	if err != nil {
		return KeyFile{}, err
	}
	in := api.CertificateCreate{Name: name, CSR: string(csr), Seconds: int64(life / time.Second)}
	made, err := post[api.CertificateCreated](ctx, c, path("users", Self, "certificates"), in)
	if err != nil {
		return KeyFile{}, err
	}
	f, err := newKeyFile(key, made.Certificate, made.CA)
	f.Name = made.Name
	return f, err
}

// RenewCertificate gets another certificate like the one by which the client calls, for a new key.
func (c *Client) RenewCertificate(ctx context.Context) (KeyFile, error) {
	key, csr, err := newRequest()
	if err != nil {
		return KeyFile{}, err
	}
	made, err := post[api.RenewAnswer](ctx, c, path("renew"), api.RenewRequest{CSR: string(csr)})
	if err != nil {
		return KeyFile{}, err
	}
	return newKeyFile(key, made.Certificate, made.CA)
}

func newRequest() (*ecdsa.PrivateKey, []byte, error) {
	key, err := certs.NewKey()
	if err != nil {
		return nil, nil, err
	}
	csr, err := certs.CSR(key)
	return key, csr, err
}

// newKeyFile puts a key and its certificate together, after a look at whether they fit.
func newKeyFile(key *ecdsa.PrivateKey, certificate, ca string) (KeyFile, error) {
	list, err := certs.ParseCertificates([]byte(certificate))
	if err != nil {
		return KeyFile{}, err
	}
	if !key.PublicKey.Equal(list[0].PublicKey) {
		return KeyFile{}, errors.New("the director has answered with a certificate for another key")
	}
	text, err := certs.KeyPEM(key)
	if err != nil {
		return KeyFile{}, err
	}
	pem := slices.Concat(text, certs.CertificatePEM(list...))
	return KeyFile{PEM: pem, CA: []byte(ca), Serial: certs.Serial(list[0]), Expires: list[0].NotAfter}, nil
}

// CertificateExpires tells when the certificate by which the client calls ends; the zero time where it has none.
func (c *Client) CertificateExpires() time.Time {
	if c.own == nil {
		return time.Time{}
	}
	return c.own.NotAfter
}

// CertificateOutlived tells whether the certificate by which the client calls was signed by an authority that a newer one is
// about to replace, as far as the client knows the authorities.
func (c *Client) CertificateOutlived(ca []byte) bool {
	list, err := certs.ParseCertificates(ca)
	if err != nil || c.own == nil {
		return false
	}
	newest := slices.MaxFunc(list, func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) })
	return !bytes.Equal(newest.SubjectKeyId, c.own.AuthorityKeyId)
}

// CertificateSerial is that of the certificate by which the client calls; "" where it has none.
func (c *Client) CertificateSerial() string {
	if c.own == nil {
		return ""
	}
	return certs.Serial(c.own)
}

// UserCertificates lists the certificates of a user that open something.
func (c *Client) UserCertificates(ctx context.Context, user string) ([]api.UserCertificate, error) {
	return list[api.UserCertificate](ctx, c, path("users", user, "certificates"), nil)
}

// RevokeCertificate revokes certificates of a user by serial or name.
func (c *Client) RevokeCertificate(ctx context.Context, user, certificate string) error {
	_, err := send[struct{}](ctx, c, http.MethodDelete, path("users", user, "certificates", certificate), nil)
	return err
}

// RevokeCertificates revokes all certificates of a user.
func (c *Client) RevokeCertificates(ctx context.Context, user string) error {
	_, err := send[struct{}](ctx, c, http.MethodDelete, path("users", user, "certificates"), nil)
	return err
}

// CertificateQuery says which certificates Certificates lists.
type CertificateQuery struct {
	Role     string        // "": of all
	Expiring time.Duration // that end within this time; 0: whenever
	Revoked  bool          // those that are revoked, instead of those that open something
}

// Certificates lists those that the installation has issued and that have not ended; it is for administrators.
func (c *Client) Certificates(ctx context.Context, q CertificateQuery) ([]api.Certificate, error) {
	query := url.Values{}
	if q.Role != "" {
		query.Set("role", q.Role)
	}
	if q.Expiring > 0 {
		query.Set("expiring", strconv.FormatInt(int64(q.Expiring/time.Second), 10))
	}
	if q.Revoked {
		query.Set("revoked", "true")
	}
	return list[api.Certificate](ctx, c, path("ca", "certificates"), query)
}
