package hosting

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"syscall"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
	"conpaas/client/api"
)

// PingPath is answered by nginx itself, with the mark of the configuration that is in effect in the header HeaderMark.
const (
	PingPath   = "/.conpaas/ping"
	HeaderMark = "Conpaas-Config"
)

// Nginx is an nginx on this machine.
type Nginx struct {
	Name   string // of the program
	Listen netip.AddrPort
}

// Apply makes it run with a configuration, which has its mark in the header of the answer at PingPath, and notes what it has taken over.
func (x Nginx) Apply(ctx context.Context, p Site, text []byte, now Loaded) error {
	path, err := p.Host.Look(nginx)
	if err != nil {
		return fmt.Errorf("%w; the image needs the package nginx-light", err)
	}
	if err := p.Host.State().Mkdir(p.Temp()+"/"+x.Name, 0o755, host.User{}); err != nil {
		return err
	}
	if err := p.OpenLog(nginxAccess); err != nil {
		return err
	}
	args := func(path string) []string { return []string{"-e", "stderr", "-p", p.RunPath("") + "/", "-c", path} }
	file := p.Config() + "/" + x.Name + ".conf"
	err = conf.Install(p.Host, conf.File{Name: file, Text: text, Mode: 0o644, Try: func(candidate string) ([]byte, int, error) {
		return p.Host.Command(ctx, host.Command{Path: path, Args: append([]string{"-t", "-q"}, args(candidate)...)})
	}})
	if err != nil {
		return err
	}
	program := host.Program{Name: x.Name, Path: path, Stop: syscall.SIGQUIT, Grace: DrainTime, Args: args(p.Path(file))}
	fresh, err := p.Start(ctx, program)
	if err != nil {
		return err
	}
	if fresh {
		return p.NoteLoaded(x.Name, now)
	}
	if p.Loaded(x.Name).Mark == now.Mark {
		return nil
	}
	if err := p.Host.Service().Signal(x.Name, syscall.SIGHUP); err != nil {
		return err
	}
	p.NoteReload(x.Name)
	ask := func(ctx context.Context) (string, error) { return x.Mark(ctx, p) }
	if err := conf.Await(ctx, now.Mark, ask); err != nil {
		// The address is another that cannot be bound beside the old one, or it has just been started anew and
		// has read the file already: a restart helps in every case.
		if err := p.Host.Service().Stop(ctx, x.Name); err != nil {
			return err
		}
		if _, err := p.Start(ctx, program); err != nil {
			return err
		}
	}
	return p.NoteLoaded(x.Name, now)
}

// Mark gives the mark of the configuration that answers.
func (x Nginx) Mark(ctx context.Context, p Site) (mark string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+x.Listen.String()+PingPath, nil)
	if err != nil {
		return "", fmt.Errorf("ask nginx: %w", err)
	}
	response, err := p.half.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask nginx: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("nginx on %s answers %s", x.Listen, response.Status)
	}
	return response.Header.Get(HeaderMark), nil
}

// NginxValues are what every configuration of nginx says of the machine.
type NginxValues struct {
	Name, User, Mark     string
	Run, Temp, AccessLog string
	Listen               netip.AddrPort
}

// Values gives them for one nginx.
func (x Nginx) Values(p Site) NginxValues {
	return NginxValues{
		Name: x.Name, User: User, Mark: conf.MarkHere, Run: p.RunPath(""), Temp: p.Path(p.Temp() + "/" + x.Name),
		AccessLog: p.Host.Logs().Path(nginxAccess), Listen: x.Listen,
	}
}

const nginxConf = "nginx.conf"

// webValues fill nginx.conf of role web.
type webValues struct {
	NginxValues
	Code, Static string
	Versions     []string
	Backends     []api.Server
	Patience     int // seconds
}

func (s *Half) applyWeb(ctx context.Context, p Site, want api.HostingWebConfig) error {
	if err := s.reach(ctx, p, nginx, want.Backends); err != nil {
		return err
	}
	versions, err := Usable(p)
	if err != nil {
		return err
	}
	text, mark, err := s.renderWeb(p, want, versions)
	if err != nil {
		return err
	}
	return web(want).Apply(ctx, p, text, Loaded{Mark: mark, Servers: nodesOf(want.Backends)})
}

// web is the nginx of role web.
func web(want api.HostingWebConfig) Nginx { return Nginx{Name: nginx, Listen: want.Listen} }

func (s *Half) renderWeb(p Site, want api.HostingWebConfig, versions []string) (text []byte, mark string, err error) {
	v := webValues{
		NginxValues: web(want).Values(p), Code: p.Path(p.Code()), Versions: versions, Backends: want.Backends, Patience: Patience(want.Patience),
	}
	if s.kind.Static != "" {
		v.Static = "/" + s.kind.Static
	}
	text, err = render(files, nginxConf, v, s.kind.Files)
	if err != nil {
		return nil, "", err
	}
	text, mark = conf.Marked(text)
	return text, mark, nil
}
