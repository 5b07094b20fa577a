package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/login"
)

// The variables that say which director to use, and as whom.
const (
	envDirector = "CONPAAS_DIRECTOR_URL"
	envUsername = "CONPAAS_USERNAME"
	envPassword = "CONPAAS_PASSWORD"
	envKey      = "CONPAAS_CERTIFICATE"
	envCode     = "CONPAAS_TOTP"
)

// access is which director to use, and as whom; what is not said is empty.
type access struct {
	url      string // as director.ParseURL gives it
	username string
	password api.Secret
	key      string // file with the user's key and certificate, which calls in the place of a login
	debug    bool
}

// override lets what another source says go first. A password or a certificate is for one user of one director: where the
// other source names another, it is forgotten; and the newer word of the two counts.
func (a *access) override(by access) {
	if by.url != "" {
		if a.url != "" && a.url != by.url {
			a.password, a.key = "", ""
		}
		a.url = by.url
	}
	if by.username != "" {
		if a.username != "" && a.username != by.username {
			a.password, a.key = "", ""
		}
		a.username = by.username
	}
	if by.password != "" {
		a.password, a.key = by.password, ""
	}
	if by.key != "" {
		a.password, a.key = "", by.key
	}
	a.debug = a.debug || by.debug
}

// access puts the sources in their order: the last login.Login, the configuration files, the variables, the options.
func (g *Global) access(h login.Home, last login.Login) (access, error) {
	a := access{url: last.Settings.Director, username: last.Settings.Username}
	if last.Settings.Certificate {
		a.key = h.Path(login.FileKey)
	}
	files, err := g.confFiles(h)
	if err != nil {
		return access{}, err
	}
	a.override(files)
	variables := access{username: g.system.Getenv(envUsername), password: api.Secret(g.system.Getenv(envPassword)), key: g.system.Getenv(envKey)}
	if variables.url, err = parseURL(envDirector, g.system.Getenv(envDirector)); err != nil {
		return access{}, err
	}
	a.override(variables)
	options := access{username: g.username, password: api.Secret(g.password), debug: g.debug}
	if options.url, err = parseURL("--director", g.directorURL); err != nil {
		return access{}, err
	}
	a.override(options)
	g.debug = a.debug
	return a, nil
}

// parseURL reads the URL that source gives, if it gives one.
func parseURL(source, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	url, err := director.ParseURL(text)
	if err != nil {
		return "", usagef("%s: %w", source, err)
	}
	return url, nil
}

// home gives the state folder.
func (g *Global) home() (login.Home, error) { return login.Find(g.conf, g.system.Getenv) }

// connection is how a command reaches the director: what is kept and what is asked for.
type connection struct {
	home   login.Home
	login  login.Login
	access access
}

func (g *Global) connection() (connection, error) {
	h, err := g.home()
	if err != nil {
		return connection{}, err
	}
	last, err := h.Load()
	if err != nil {
		return connection{}, err
	}
	a, err := g.access(h, last)
	return connection{h, last, a}, err
}

// credential is what a client proves with whom it speaks for; its parts may be empty.
type credential struct {
	token api.Secret
	key   []byte // key and certificate, PEM
}

// credential gives what is kept: the certificate where one is to be used, else the token of the last login.
func (at connection) credential() (credential, error) {
	if at.access.key == "" {
		return credential{token: at.login.Token}, nil
	}
	key, err := login.ReadKey(at.access.key)
	if errors.Is(err, login.ErrExposed) {
		err = failf(exitRefused, "%w", err)
	}
	return credential{key: key}, err
}

// keptClient gives a client that speaks for the user of what is kept, or for nobody.
func (g *Global) keptClient(at connection) (*director.Client, error) {
	kept, err := at.credential()
	if err != nil {
		return nil, err
	}
	return g.dialFor(at, kept)
}

// dialFor makes a client of a connection.
func (g *Global) dialFor(at connection, kept credential) (*director.Client, error) {
	url := at.access.url
	if url == "" {
		return nil, failf(exitRefused, "no director is known yet; log in with: cps login URL")
	}
	if len(at.login.Authority.PEM) == 0 {
		return nil, failf(exitRefused, "the CA of %s is not known yet; log in with: cps login %s", url, url)
	}
	return g.dial(url, at.login.Authority, at.home.Path(login.FileCA), kept)
}

// client gives a client for calls that need no login; it speaks for the user of the last login where there is one.
func (g *Global) client() (*director.Client, error) {
	at, err := g.connection()
	if err != nil {
		return nil, err
	}
	return g.keptClient(at)
}

// kept gives a client that uses the last login.Login, which must be of the user who is asked for.
func (g *Global) kept() (*director.Client, error) {
	at, err := g.connection()
	if err != nil {
		return nil, err
	}
	return g.keptFor(at)
}

func (g *Global) keptFor(at connection) (*director.Client, error) {
	c, err := g.keptClient(at)
	if err != nil {
		return nil, err
	}
	if !c.SpeaksForUser() {
		return nil, failf(exitRefused, "not logged in at %s; log in with: cps login", c.URL())
	}
	if was := at.login.Settings.Username; at.access.username != was && at.access.key == "" {
		return nil, failf(exitRefused, "logged in at %s as %q, not as %q; log in with: cps login --username NAME, or say the password, too",
			c.URL(), was, at.access.username)
	}
	return c, nil
}

// authorized gives a client for calls that need a login. Where a password is configured it logs in by itself:
// when nobody is logged in, the login has ended, or it is not the one that is asked for.
func (g *Global) authorized(ctx context.Context) (*director.Client, error) {
	if g.connected != nil {
		return g.connected, nil
	}
	at, err := g.connection()
	if err != nil {
		return nil, err
	}
	if at.access.password == "" {
		g.connected, err = g.keptFor(at)
		return g.connected, err
	}
	same := at.access.url == at.login.Settings.Director && at.access.username == at.login.Settings.Username
	if same && at.login.Token != "" {
		c, err := g.dialFor(at, credential{token: at.login.Token})
		if err != nil {
			return nil, err
		}
		_, err = c.Me(ctx)
		if err == nil {
			g.connected = c
			return c, nil
		} else if api.CodeFrom(err) != api.CodeUnauthenticated {
			return nil, err
		}
	}
	return g.loginAs(ctx, at, same || at.login.Token == "")
}

// loginAs logs in with the password that is configured. The login is kept where it does not take the place of
// another; otherwise it ends with the program.
func (g *Global) loginAs(ctx context.Context, at connection, keep bool) (*director.Client, error) {
	a := at.access
	if a.username == "" {
		return nil, usagef("a password is configured, but for whom? Pass --username, or configure it, too")
	}
	nobody, err := g.dialFor(at, credential{})
	if err != nil {
		return nil, err
	}
	g.loggingIn = true // what is refused is the login itself
	token, err := g.signIn(ctx, nobody, api.Login{Username: a.username, Password: a.password})
	if err != nil {
		return nil, fmt.Errorf("log in at %s as %q: %w", a.url, a.username, err)
	}
	g.loggingIn = false
	c, err := g.dialFor(at, credential{token: token.Token})
	if err != nil {
		return nil, err
	}
	g.connected = c
	if !keep {
		g.passing = c
		return c, nil
	}
	kept := login.Login{Settings: login.Settings{Director: a.url, Username: a.username}, Authority: at.login.Authority, Token: token.Token}
	return c, at.home.Save(kept)
}

// leave ends a login that is not kept. That it cannot be ended is no failure of what was done: it expires.
func (g *Global) leave(ctx context.Context) {
	if g.passing == nil {
		return
	}
	const patience = 5 * time.Second
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	_ = g.passing.Logout(ctx)
}
