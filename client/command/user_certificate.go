package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/login"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

type certificateOptions struct {
	loginOptions
	name, out, expires string
}

func newUserGetCertificateCommand(g *Global) *cobra.Command {
	var o certificateOptions
	cmd := &cobra.Command{
		Use:     "get-certificate",
		Aliases: []string{"get-cert", "getcerts"},
		Short:   "Get a certificate, by which cps and other programs call in the place of a login",
		Long: `Make a key here and get a certificate for it. Where nobody is logged in, or a password is given, this logs
in first, as cps login does, and ends that login. From then on cps calls by the certificate and renews it
after two thirds of its life; the next cps login ends that.

With --out the key and the certificate (user.pem) and the CA certificates (ca_cert.pem) go into a folder for
other programs, and cps goes on as before:

  curl --cert DIR/user.pem --cacert DIR/ca_cert.pem https://director.example.org:5555/v1/users/me

A certificate opens what a token opens. It makes no tokens and no certificates but its own renewal.`,
		Example: `cps user get-certificate
cps user get-certificate --name ci --expires 90d --out ~/ci
cps user get-certificate --director https://director.example.org:5555 --username alice --password-file - --ca ca_cert.pem`,
		Args: words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check("get a certificate"); err != nil {
				return err
			}
			return g.getCertificate(cmd.Context(), o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.flags(cmd)
	g.codeFlag(cmd)
	cmd.Flags().StringVar(&o.name, "name", "", "what it is for; the `name` of this computer by default")
	cmd.Flags().StringVar(&o.expires, "expires", "365d", "how `long` it is good, such as 90d or 12h; at most 366d")
	cmd.Flags().StringVar(&o.out, "out", "", "put it into a `folder`, and do not use it here")
	return cmd
}

// certificateShown is what get-certificate and renew-certificate show; the key is not part of it.
type certificateShown struct {
	Serial  string    `json:"serial"`
	Name    string    `json:"name,omitempty"`
	Expires time.Time `json:"expires"`
	File    string    `json:"file"`
}

func (g *Global) getCertificate(ctx context.Context, o certificateOptions) error {
	life, err := days(o.expires)
	if err != nil {
		return usagef("user get-certificate: --expires %w", err)
	}
	if o.name == "" {
		o.name = computerName()
	}
	c, l, err := g.clientOfLogin(ctx, o.loginOptions)
	if err != nil {
		return err
	}
	f, err := c.CreateCertificate(ctx, o.name, life)
	if err != nil {
		return fmt.Errorf("get certificate %q: %w", o.name, err)
	}
	if o.out != "" {
		if err := login.WriteKey(o.out, f); err != nil {
			return err
		}
		file := filepath.Join(o.out, login.FileKey)
		return g.say(certificateShown{f.Serial, f.Name, f.Expires, file}, "Certificate %q is in %s; it is good until %s.", f.Name, file, at(f.Expires))
	}
	h, err := g.home()
	if err != nil {
		return err
	}
	if err := h.KeepKey(l, f.PEM); err != nil {
		return err
	}
	g.passing = c // its login is of no use any more
	file := h.Path(login.FileKey)
	return g.say(certificateShown{f.Serial, f.Name, f.Expires, file}, "Certificate %q is in %s; it is good until %s, and cps uses it from now on.", f.Name, file, at(f.Expires))
}

// clientOfLogin gives a client with the token of a login: the kept one, or one that is made now and ends with the program.
func (g *Global) clientOfLogin(ctx context.Context, o loginOptions) (*director.Client, login.Login, error) {
	now, err := g.connection()
	if err != nil {
		return nil, login.Login{}, err
	}
	kept := now.login
	if o.passwordFile == "" && now.access.password == "" && now.access.key == "" && kept.Token != "" &&
		now.access.url == kept.Settings.Director && now.access.username == kept.Settings.Username {
		c, err := g.keptFor(now)
		return c, kept, err
	}
	g.loggingIn = true
	in, err := g.prepareLogin(ctx, nil, o)
	if err != nil {
		return nil, login.Login{}, err
	}
	token, err := g.signIn(ctx, in.client, in.login)
	if err != nil {
		return nil, login.Login{}, fmt.Errorf("log in at %s as %q: %w", in.client.URL(), in.login.Username, err)
	}
	g.loggingIn = false
	c, err := g.dial(in.client.URL(), in.authority, in.from, credential{token: token.Token})
	g.passing = c
	return c, login.Login{Settings: login.Settings{Director: in.client.URL(), Username: in.login.Username}, Authority: in.authority}, err
}

// computerName gives a name for a certificate that is used here.
func computerName() string {
	host, _ := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	if api.CheckName(host) != nil {
		return "cps"
	}
	return host
}

func newUserRenewCertificateCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "renew-certificate",
		Short: "Renew the certificate that cps uses, with a new key",
		Long: `Renew the certificate that cps uses: that of cps user get-certificate, or the one of CONPAAS_CERTIFICATE. cps
does that by itself after two thirds of its life. The old one is good until its end.`,
		Example: `cps user renew-certificate`,
		Args:    words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			now, err := g.connection()
			if err != nil {
				return err
			}
			if now.access.key == "" {
				return usagef("user renew-certificate: cps uses no certificate; get one with: cps user get-certificate")
			}
			c, err := g.keptFor(now)
			if err == nil {
				err = g.replaceKey(cmd.Context(), c, now.access.key)
			}
			if err != nil {
				return fmt.Errorf("renew the certificate in %s: %w", now.access.key, err)
			}
			if c, err = g.keptFor(now); err != nil {
				return err
			}
			return g.say(certificateShown{Serial: c.CertificateSerial(), Expires: c.CertificateExpires(), File: now.access.key},
				"The certificate in %s is good until %s.", now.access.key, at(c.CertificateExpires()))
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func newUserCertificateCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "certificate",
		Short: "List and revoke the certificates of a user",
		Long:  `The certificates by which a user calls; cps user get-certificate gets them.`,
	},
		userCertificates().newListCommand(g), newUserCertificateRevokeCommand(g),
	)
}

// userCertificates are completed by their serial, since several may have a name.
func userCertificates() proofs[api.UserCertificate] {
	return proofs[api.UserCertificate]{
		kind: "certificate", id: ui.Column{Name: "serial"}, of: (*director.Client).UserCertificates,
		show: func(c api.UserCertificate) proof {
			return proof{id: c.Serial, name: c.Name, created: c.Created, expires: c.Expires, used: c.Used, word: c.Serial, hint: c.Name + ", until " + at(c.Expires)}
		},
	}
}

func newUserCertificateRevokeCommand(g *Global) *cobra.Command {
	var user string
	var all, yes bool
	cmd := &cobra.Command{
		Use:   "revoke [CERTIFICATE]",
		Short: "Revoke a certificate by serial or name, or all of a user; it opens nothing from now on",
		Example: `cps user certificate revoke laptop
cps user certificate revoke 0f3a5e0c1d2b4a69788796a5b4c3d2e1 --user alice
cps user certificate revoke --all --user alice --yes`,
		Args: words("[CERTIFICATE]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if all == (len(args) > 0) {
				return usagef("user certificate revoke: pass either CERTIFICATE or --all")
			}
			if !all {
				if err := c.RevokeCertificate(ctx, user, args[0]); err != nil {
					return fmt.Errorf("revoke certificate %q: %w", args[0], err)
				}
				return g.say(struct{}{}, "Certificate %q is revoked.", args[0])
			}
			if err := g.confirm(ctx, yes, "revoke all certificates", "Programs that call by them are refused from now on."); err != nil {
				return err
			}
			if err := c.RevokeCertificates(ctx, user); err != nil {
				return fmt.Errorf("revoke all certificates: %w", err)
			}
			return g.say(struct{}{}, "All certificates are revoked.")
		}),
	}
	userCertificates().revokeFlags(g, cmd, &user)
	cmd.Flags().BoolVar(&all, "all", false, "all of the user")
	yesFlag(cmd, &yes)
	return cmd
}
