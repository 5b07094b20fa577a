package php

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"syscall"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
	"conpaas/client/api"
)

const nginxConf = "nginx.conf"

// pingPath is answered by nginx itself, with the mark of the configuration that is in effect.
const (
	pingPath   = "/.conpaas/ping"
	headerMark = "Conpaas-Config"
)

// nginxValues fill nginx.conf.
type nginxValues struct {
	User, Mark      string
	Run, Temp, Code string
	AccessLog       string
	Listen          netip.AddrPort
	Versions        []string
	Backends        []api.Server
	Patience        int // seconds
}

func (s *Half) applyNginx(ctx context.Context, h *host.Host, p paths, want api.HostingWebConfig) error {
	path, err := h.Look(nginx)
	if err != nil {
		return fmt.Errorf("%w; the image needs the package nginx-light", err)
	}
	if err := h.State().Mkdir(tempDir+"/nginx", 0o755, host.User{}); err != nil {
		return err
	}
	if err := openLog(h, nginxAccess); err != nil {
		return err
	}
	versions, err := usable(h)
	if err != nil {
		return err
	}
	text, mark, err := renderNginx(p, want, versions)
	if err != nil {
		return err
	}
	args := func(path string) []string { return []string{"-e", "stderr", "-p", p.run + "/", "-c", path} }
	err = conf.Install(h, conf.File{Name: configDir + "/" + nginxConf, Text: text, Mode: 0o644, Try: func(candidate string) ([]byte, int, error) {
		return h.Command(ctx, host.Command{Path: path, Args: append([]string{"-t", "-q"}, args(candidate)...)})
	}})
	if err != nil {
		return err
	}
	program := host.Program{Name: nginx, Path: path, Stop: syscall.SIGQUIT, Grace: drainTime, Args: args(filepath.Join(p.config, nginxConf))}
	fresh, err := s.start(ctx, h, program)
	if err != nil {
		return err
	}
	now := loaded{Mark: mark, Servers: nodesOf(want.Backends)}
	if fresh {
		return writeLoaded(h, nginx, now)
	}
	if readLoaded(h, nginx).Mark == mark {
		return nil
	}
	if err := h.Service().Signal(nginx, syscall.SIGHUP); err != nil {
		return err
	}
	s.noteReload(nginx)
	ask := func(ctx context.Context) (string, error) { return s.askNginx(ctx, want.Listen) }
	if err := conf.Await(ctx, mark, ask); err != nil {
		// The address is another that cannot be bound beside the old one, or it has just been started anew and
		// has read the file already: a restart helps in every case.
		if err := h.Service().Stop(ctx, nginx); err != nil {
			return err
		}
		if _, err := s.start(ctx, h, program); err != nil {
			return err
		}
	}
	return writeLoaded(h, nginx, now)
}

func renderNginx(p paths, want api.HostingWebConfig, versions []string) (text []byte, mark string, err error) {
	text, err = render(nginxConf, nginxValues{
		User: webUser, Mark: conf.MarkHere, Run: p.run, Temp: p.temp + "/nginx", Code: p.code, AccessLog: p.log(nginxAccess), Listen: want.Listen, Versions: versions, Backends: want.Backends,
		Patience: patience(want.Patience),
	})
	if err != nil {
		return nil, "", err
	}
	text, mark = conf.Marked(text)
	return text, mark, nil
}

// askNginx gives the mark of the configuration that answers.
func (s *Half) askNginx(ctx context.Context, at netip.AddrPort) (mark string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+pingPath, nil)
	if err != nil {
		return "", fmt.Errorf("ask nginx: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask nginx: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("nginx on %s answers %s", at, response.Status)
	}
	return response.Header.Get(headerMark), nil
}
