package helloworld

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"regexp"
	"syscall"
	"text/template"
	"time"

	"conpaas/agent/host"
)

const (
	nginx      = "nginx"
	nginxUser  = "www-data"
	nginxConf  = pageDir + "/nginx.conf"
	nginxRun   = "helloworld"               // below the run directory
	loadedFile = nginxRun + "/nginx.loaded" // which configuration nginx was last told to read
	reloadTime = 3 * time.Second            // for a new configuration to be in effect after a HUP
)

// headerConfig tells which configuration an answer was served under.
const headerConfig = "Conpaas-Config"

// nginxTemplate has only values that plain has let through. Every path of nginx's own that could be shared
// with another nginx of the machine is set. Mark is last, over everything before it.
var nginxTemplate = template.Must(template.New("nginx.conf").Parse(`daemon off;
user {{.User}};
worker_processes auto;
worker_shutdown_timeout 10s;
pid {{.Run}}/nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
	access_log off;
	server_tokens off;
	charset utf-8;
	default_type text/html;
	keepalive_timeout 15s;
	client_header_timeout 10s;
	client_body_timeout 10s;
	client_max_body_size 1k;
	client_body_temp_path {{.Run}}/body;
	proxy_temp_path {{.Run}}/proxy;
	fastcgi_temp_path {{.Run}}/fastcgi;
	uwsgi_temp_path {{.Run}}/uwsgi;
	scgi_temp_path {{.Run}}/scgi;
	server {
{{- range .Listen}}
		listen {{.}};
{{- end}}
		root {{.Page}};
		index index.html;
		location = / { add_header ` + headerConfig + ` {{.Mark}} always; }
		location = /index.html { add_header ` + headerConfig + ` {{.Mark}} always; }
		location / { return 404; }
	}
}
`))

type nginxValues struct {
	User, Run, Page, Mark string
	Listen                []netip.AddrPort
}

// render gives nginx.conf and its mark, which tells it from every other.
func render(v nginxValues) (conf []byte, mark string, err error) {
	if v.Run, err = plain(v.Run); err != nil {
		return nil, "", err
	}
	if v.Page, err = plain(v.Page); err != nil {
		return nil, "", err
	}
	for _, v.Mark = range []string{"none", ""} {
		if v.Mark == "" {
			sum := sha256.Sum256(conf)
			mark = hex.EncodeToString(sum[:8])
			v.Mark = mark
		}
		var text bytes.Buffer
		if err := nginxTemplate.Execute(&text, v); err != nil {
			return nil, "", fmt.Errorf("make nginx.conf: %w", err)
		}
		conf = text.Bytes()
	}
	return conf, mark, nil
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)

// plain refuses what nginx would not read as one plain word.
func plain(path string) (string, error) {
	if !plainPath.MatchString(path) {
		return "", fmt.Errorf("nginx cannot use the path %q; choose a root of letters, digits, '.', '_' and '-'", path)
	}
	return path, nil
}

func (s *Half) applyNginx(ctx context.Context, h *host.Host, want config) error {
	path, err := h.Look(nginx)
	if err != nil {
		return fmt.Errorf("%w; the image needs the package nginx-light", err)
	}
	if _, err := h.User(nginxUser); err != nil {
		return err
	}
	if err := h.Run().Mkdir(nginxRun, 0o755, host.User{}); err != nil {
		return err
	}
	conf, mark, err := render(nginxValues{User: nginxUser, Run: h.Run().Path(nginxRun), Page: h.State().Path(pageDir), Listen: want.listen})
	if err != nil {
		return err
	}
	if _, err := h.State().Write(nginxConf, conf, 0o644); err != nil {
		return err
	}
	program := host.Program{
		Name: nginx, Path: path, Stop: syscall.SIGQUIT, Grace: 10 * time.Second,
		Args: []string{"-e", "stderr", "-p", h.Run().Path(nginxRun) + "/", "-c", h.State().Path(nginxConf)},
	}
	started, err := s.start(ctx, h, program)
	if err != nil {
		return err
	}
	return s.reload(ctx, h, program, want, mark, started)
}

// start tells whether it has started a new nginx, which has read the present configuration.
func (s *Half) start(ctx context.Context, h *host.Host, program host.Program) (bool, error) {
	before, _ := h.Service().State(program.Name)
	if err := h.Service().Ensure(ctx, program); err != nil {
		return false, err
	}
	after, _ := h.Service().State(program.Name)
	return !after.Adopted && after.PID != before.PID, nil
}

// reload makes a running nginx read its configuration when that is another than it has read. The note of what
// it has read is written last, so that an agent killed in between does it again, which disturbs nothing.
func (s *Half) reload(ctx context.Context, h *host.Host, program host.Program, want config, mark string, started bool) error {
	loaded, err := h.Run().Read(loadedFile, 1024)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(loaded) == mark {
		return nil
	}
	if !started {
		if err := h.Service().Signal(program.Name, syscall.SIGHUP); err != nil {
			return err
		}
		// nginx keeps its old configuration when it cannot bind the new addresses beside the old ones,
		// for example every address where it held one: then only a restart helps.
		if err := s.await(ctx, want, mark); err != nil {
			if err := h.Service().Stop(ctx, program.Name); err != nil {
				return err
			}
			if err := h.Service().Ensure(ctx, program); err != nil {
				return err
			}
		}
	}
	_, err = h.Run().Write(loadedFile, []byte(mark), 0o644)
	return err
}
