// Package php is the agent half of the service type php: a hosting type whose backends run php-fpm.
//
// It knows nothing of proxies, webs and versions, which are those of package hosting. What of a configuration comes from outside is
// checked in Accepts.
package php

import (
	"context"
	"embed"

	"conpaas/agent/services/hosting"
	"conpaas/client/api"
)

//go:embed templates welcome
var files embed.FS

// Names of the program and of its log of requests.
const (
	fpm       = "php-fpm"
	fpmAccess = fpm + "-access"
)

// lockKeys are those by which php-redis locks sessions. Their values are "<host name>|<process>".
const lockKeys = "PHPREDIS_SESSION:*_LOCK"

// New makes the agent half.
func New() *hosting.Half {
	return hosting.New(hosting.Kind{
		Type: api.PHP, Welcome: files, Files: files, Locks: lockKeys, Logs: []string{fpmAccess}, Runner: runner{},
	})
}

// runner is php-fpm.
type runner struct{}

var _ hosting.Runner = runner{}

// Accepts implements hosting.Runner.
func (runner) Accepts(c api.HostingBackendConfig) error {
	if _, err := iniSettings(c.Settings); err != nil {
		return err
	}
	_, err := fpmEnv(c.Env)
	return err
}

// End implements hosting.Runner.
func (runner) End(ctx context.Context, p hosting.Site) error { return p.Host.Service().Stop(ctx, fpm) }
