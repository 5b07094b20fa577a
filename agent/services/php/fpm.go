package php

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"syscall"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
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
	fpmConf   = "php-fpm.conf"
	phpINI    = "php.ini"
	uploadDir = tempDir + "/uploads" // of PHP, for what users send
	sysDir    = tempDir + "/php"     // of PHP, for what programs write
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

func (s *Half) applyFPM(ctx context.Context, h *host.Host, p paths, want api.HostingBackendConfig) error {
	programs, err := findPHP(h)
	if err != nil {
		return err
	}
	user, err := h.User(webUser)
	if err != nil {
		return err
	}
	for _, dir := range []string{uploadDir, sysDir} {
		if err := h.State().Mkdir(dir, 0o700, user); err != nil {
			return err
		}
	}
	if err := openLog(h, fpmAccess); err != nil {
		return err
	}
	text, ini, mark, err := renderFPM(p, want)
	if err != nil {
		return err
	}
	// The settings first: php-fpm takes over both at once.
	err = conf.Install(h, conf.File{Name: configDir + "/" + phpINI, Text: ini, Mode: 0o600, Try: func(path string) ([]byte, int, error) {
		output, exit, err := h.Command(ctx, host.Command{Path: programs.cli, Args: []string{"-c", path, "-r", ""}})
		if len(bytes.TrimSpace(output)) > 0 { // PHP warns of what it cannot read, and goes on
			exit = max(exit, 1)
		}
		return output, exit, err
	}})
	if err != nil {
		return err
	}
	iniPath := filepath.Join(p.config, phpINI)
	err = conf.Install(h, conf.File{Name: configDir + "/" + fpmConf, Text: text, Mode: 0o600, Try: func(path string) ([]byte, int, error) {
		return h.Command(ctx, host.Command{Path: programs.fpm, Args: []string{"-t", "-c", iniPath, "-y", path}})
	}})
	if err != nil {
		return err
	}
	program := host.Program{
		Name: fpm, Path: programs.fpm, Stop: syscall.SIGQUIT, Grace: drainTime,
		Args: []string{"--nodaemonize", "--force-stderr", "-c", iniPath, "-y", filepath.Join(p.config, fpmConf)},
	}
	fresh, err := s.start(ctx, h, program)
	if err != nil {
		return err
	}
	if readLoaded(h, fpm).Mark == mark && !s.deaf(ctx, p, mark) {
		return nil
	}
	if !fresh {
		if err := h.Service().Signal(fpm, syscall.SIGUSR2); err != nil {
			return err
		}
		s.noteReload(fpm)
	}
	return writeLoaded(h, fpm, loaded{Mark: mark})
}

// deaf tells whether php-fpm has missed that it was told to take over its configuration.
func (s *Half) deaf(ctx context.Context, p paths, mark string) bool {
	now, _, err := askFPM(ctx, p)
	return err == nil && now != mark && !s.restarting(fpm)
}

// renderFPM gives php-fpm.conf, php.ini and the mark of both.
func renderFPM(p paths, want api.HostingBackendConfig) (text, ini []byte, mark string, err error) {
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
		Patience: patience(want.Patience), Retries: patience(want.Patience) * looksPerSecond,
		User: webUser, Mark: conf.MarkHere, Listen: want.Listen, Status: statusSocket(p),
		AccessLog: p.log(fpmAccess), Uploads: p.temp + "/uploads", Temp: p.temp + "/php", Settings: settings, Env: env, Drain: int(drainTime.Seconds()),
		Sessions: "tcp://" + want.Sessions.Listen.String() + "?auth=" + url.QueryEscape(want.Sessions.Password) + "&timeout=2&read_timeout=5",
	}
	if text, err = render(fpmConf, v); err != nil {
		return nil, nil, "", err
	}
	if ini, err = render(phpINI, v); err != nil {
		return nil, nil, "", err
	}
	text, mark = conf.Marked(text, ini)
	return text, ini, mark, nil
}

func statusSocket(p paths) string { return p.run + "/php-fpm.sock" }
