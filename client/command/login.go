package command

import (
	"context"
	"fmt"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/login"

	"github.com/spf13/cobra"
)

type loginOptions struct {
	passwordFile, caFile, fingerprint string
}

func newLoginCommand(g *Global) *cobra.Command {
	var o loginOptions
	cmd := &cobra.Command{
		Use:   "login [URL]",
		Short: "Log in to a director and remember it",
		Long: `Log in to a director. Its CA certificate is looked at first: give it as a file, or give its
fingerprint, or compare the fingerprint that is shown with the one that the director's administrator
gives you. From then on nothing but this CA is trusted.

Scheme and port of the URL may be left out. URL and user name are by default those that are
configured, or of the last login; the password is asked for unless it is configured, and so is the code
where the account has a second factor.`,
		Example: `cps login https://director.example.org:5555
cps login director.example.org --username alice --password-file ~/secret --ca ca_cert.pem
cps login director.example.org --username alice --password-file -
cps login --password-file ~/secret --totp 123456`,
		Args: words("[URL]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check("log in"); err != nil {
				return err
			}
			g.loggingIn = true
			return g.login(cmd.Context(), args, o)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.flags(cmd)
	g.codeFlag(cmd)
	return cmd
}

func (o *loginOptions) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.passwordFile, "password-file", "", "read the password from a `file`, from standard input when it is -")
	flags.StringVar(&o.caFile, "ca", "", "trust the CA certificates in a `file`")
	flags.StringVar(&o.fingerprint, "fingerprint", "", "trust the director's CA certificate with this `SHA256:…`")
}

func (o *loginOptions) check(what string) error {
	if o.caFile != "" && o.fingerprint != "" {
		return usagef("%s: --ca and --fingerprint are two ways to the same; pass one", what)
	}
	return nil
}

// session is what login shows; the token is not part of it.
type session struct {
	Director string    `json:"director"`
	User     api.User  `json:"user"`
	Expires  time.Time `json:"expires"`
}

func (g *Global) login(ctx context.Context, args []string, o loginOptions) error {
	p, err := g.prepareLogin(ctx, args, o)
	if err != nil {
		return err
	}
	h, err := g.home()
	if err != nil {
		return err
	}
	return g.enter(ctx, h, p.client, p.authority, p.login)
}

// prepared is all that a login needs.
type prepared struct {
	client    *director.Client // of nobody
	authority director.Authority
	from      string // where the authority came from
	login     api.Login
}

// prepareLogin finds out where to log in, whom to trust and what to log in with; it asks for what is not said.
func (g *Global) prepareLogin(ctx context.Context, args []string, o loginOptions) (p prepared, err error) {
	h, err := g.home()
	if err != nil {
		return p, err
	}
	last, err := h.Load()
	if err != nil { // a login is the way out of a state folder that is broken
		last = login.Login{}
	}
	if len(args) > 0 {
		if _, err := director.ParseURL(args[0]); err != nil {
			return p, usagef("log in: %w", err)
		}
		g.directorURL = args[0]
	}
	as, err := g.access(h, last)
	if err != nil {
		return p, fmt.Errorf("log in: %w", err)
	}
	url := as.url
	if url == "" {
		return p, usagef("log in: which director? Pass its URL: cps login https://director.example.org:%s", director.Port)
	}
	if o.passwordFile == "" && as.password == "" && !g.prompt.Possible() {
		return p, usagef("log in: there is no terminal to ask for the password; pass --password-file FILE, or --password-file - to read it from standard input, or configure it: cps help files")
	}
	if p.authority, p.from, err = g.chooseCA(ctx, h, url, last, o); err != nil {
		return p, fmt.Errorf("log in at %s: %w", url, err)
	}
	if p.login, err = g.credentials(ctx, as, o); err != nil {
		return p, fmt.Errorf("log in at %s: %w", url, err)
	}
	if p.client, err = g.dial(url, p.authority, p.from, credential{}); err != nil {
		return p, fmt.Errorf("log in at %s: %w", url, err)
	}
	return p, nil
}

// enter logs in and remembers it.
func (g *Global) enter(ctx context.Context, h login.Home, c *director.Client, ca director.Authority, in api.Login) error {
	url := c.URL()
	token, err := g.signIn(ctx, c, in)
	if err != nil {
		return fmt.Errorf("log in at %s as %q: %w", url, in.Username, err)
	}
	if err := h.Save(login.Login{Settings: login.Settings{Director: url, Username: in.Username}, Authority: ca, Token: token.Token}); err != nil {
		return err
	}
	return g.say(session{url, token.User, token.Expires}, "Logged in at %s as %s until %s.", url, token.User.Name, at(token.Expires))
}
