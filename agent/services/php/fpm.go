package php

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
	"conpaas/agent/services/hosting"
	"conpaas/client/api"
)

// phpVersions are those of the distributions that the catalogue knows, the preferred one first.
var phpVersions = [...]string{"8.2", "8.4", "8.3"}

type phpPrograms struct {
	fpm, cli string
}

func findPHP(h *host.Host) (phpPrograms, error) {
	var first error
	for _, v := range phpVersions {
		server, err1 := h.Look("php-fpm" + v)
		cli, err2 := h.Look("php" + v)
		if err := errors.Join(err1, err2); err == nil {
			return phpPrograms{fpm: server, cli: cli}, nil
		} else if first == nil {
			first = err
		}
	}
	return phpPrograms{}, fmt.Errorf("%w; the image needs the packages php%[2]s-fpm and php%[2]s-cli", first, phpVersions[0])
}

const (
	fpmConf = "php-fpm.conf"
	phpINI  = "php.ini"
)

// fpmValues fill php-fpm.conf and php.ini.
type fpmValues struct {
	User, Mark    string
	Listen        netip.AddrPort
	Status        string // path of the socket that answers how it is
	Uploads, Temp string
	AccessLog     string
	Settings      []setting
	Env           []setting
	Sessions      string // URL for php-redis
	Patience      int    // seconds that a session is locked at most
	Retries       int    // looks at the lock of another request, 20 ms between them
	Drain         int    // seconds for requests in flight at a reload
}

// Of PHP: for what users send, and for what programs write.
func uploadDir(p hosting.Site) string { return p.Temp() + "/uploads" }
func sysDir(p hosting.Site) string    { return p.Temp() + "/php" }

// Apply implements hosting.Runner.
func (runner) Apply(ctx context.Context, p hosting.Site, want api.HostingBackendConfig) error {
	h := p.Host
	programs, err := findPHP(h)
	if err != nil {
		return err
	}
	user, err := h.User(hosting.User)
	if err != nil {
		return err
	}
	for _, dir := range []string{uploadDir(p), sysDir(p)} {
		if err := h.State().Mkdir(dir, 0o700, user); err != nil {
			return err
		}
	}
	if err := p.OpenLog(fpmAccess); err != nil {
		return err
	}
	text, ini, mark, err := renderFPM(p, want)
	if err != nil {
		return err
	}
	// The settings first: php-fpm takes over both at once.
	err = conf.Install(h, conf.File{Name: p.Config() + "/" + phpINI, Text: ini, Mode: 0o600, Try: func(path string) ([]byte, int, error) {
		output, exit, err := h.Command(ctx, host.Command{Path: programs.cli, Args: []string{"-c", path, "-r", ""}})
		if len(bytes.TrimSpace(output)) > 0 { // PHP warns of what it cannot read, and goes on
			exit = max(exit, 1)
		}
		return output, exit, err
	}})
	if err != nil {
		return err
	}
	iniPath := p.Path(p.Config() + "/" + phpINI)
	err = conf.Install(h, conf.File{Name: p.Config() + "/" + fpmConf, Text: text, Mode: 0o600, Try: func(path string) ([]byte, int, error) {
		return h.Command(ctx, host.Command{Path: programs.fpm, Args: []string{"-t", "-c", iniPath, "-y", path}})
	}})
	if err != nil {
		return err
	}
	program := host.Program{
		Name: fpm, Path: programs.fpm, Stop: syscall.SIGQUIT, Grace: hosting.DrainTime,
		Args: []string{"--nodaemonize", "--force-stderr", "-c", iniPath, "-y", p.Path(p.Config() + "/" + fpmConf)},
	}
	fresh, err := p.Start(ctx, program)
	if err != nil {
		return err
	}
	if p.Loaded(fpm).Mark == mark && !deaf(ctx, p, mark) {
		return nil
	}
	if !fresh {
		if err := h.Service().Signal(fpm, syscall.SIGUSR2); err != nil {
			return err
		}
		p.NoteReload(fpm)
	}
	return p.NoteLoaded(fpm, hosting.Loaded{Mark: mark})
}

// deaf tells whether php-fpm has missed that it was told to take over its configuration.
func deaf(ctx context.Context, p hosting.Site, mark string) bool {
	now, _, err := askFPM(ctx, p)
	return err == nil && now != mark && !p.Restarting(fpm, reloadTime)
}

// renderFPM gives php-fpm.conf, php.ini and the mark of both.
func renderFPM(p hosting.Site, want api.HostingBackendConfig) (text, ini []byte, mark string, err error) {
	settings, err := iniSettings(want.Settings)
	if err != nil {
		return nil, nil, "", err
	}
	env, err := fpmEnv(want.Env)
	if err != nil {
		return nil, nil, "", err
	}
	const looksPerSecond = 50
	v := fpmValues{
		Patience: hosting.Patience(want.Patience), Retries: hosting.Patience(want.Patience) * looksPerSecond,
		User: hosting.User, Mark: conf.MarkHere, Listen: want.Listen, Status: statusSocket(p),
		AccessLog: p.Host.Logs().Path(fpmAccess), Uploads: p.Path(uploadDir(p)), Temp: p.Path(sysDir(p)), Settings: settings, Env: env, Drain: int(hosting.DrainTime.Seconds()),
		Sessions: "tcp://" + want.Sessions.Listen.String() + "?auth=" + url.QueryEscape(want.Sessions.Password) + "&timeout=2&read_timeout=5",
	}
	if text, err = hosting.Render(files, fpmConf, v); err != nil {
		return nil, nil, "", err
	}
	if ini, err = hosting.Render(files, phpINI, v); err != nil {
		return nil, nil, "", err
	}
	text, mark = conf.Marked(text, ini)
	return text, ini, mark, nil
}

// Health implements hosting.Runner.
func (runner) Health(ctx context.Context, p hosting.Site, c *api.HostingBackendConfig) hosting.Health {
	program := hosting.Program{Name: fpm, Reload: reloadTime}
	if c == nil {
		return hosting.Health{Programs: []hosting.Program{program}}
	}
	now, active, err := askFPM(ctx, p)
	health := hosting.Health{Active: active, Unknown: err}
	if err == nil {
		_, _, mark, e := renderFPM(p, *c)
		if err = e; err == nil && now != mark {
			err = fmt.Errorf("php-fpm finishes what is in flight under its old settings")
		}
	}
	program.Trouble = err
	health.Programs = []hosting.Program{program}
	return health
}

// reloadTime is for a reload: requests in flight end before it is there again.
const reloadTime = 10*time.Second + hosting.DrainTime

func statusSocket(p hosting.Site) string { return p.RunPath("php-fpm.sock") }
