package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
)

// subnet is the network of the machine: a part of the one for measurements (RFC 2544), which hosts do not use.
const subnet = "198.18.113.0/24"

// processors of a virtual machine: systemd starts much at once, and two emulated ones boot sooner than one.
const processors = 2

const (
	startTime = time.Minute            // of a director
	endTime   = time.Minute            // of a director, and of the removal of what it made
	lookTime  = 100 * time.Millisecond // between looks for a director that starts
)

// installation is a director with a folder of its own.
type installation struct {
	program, dir, url string
	cmd               *exec.Cmd
	ended             chan struct{} // closed when the director has been waited for
}

// start runs a director on a local cloud whose machines boot the image. On error nothing is left.
func start(ctx context.Context, image Image, o Options) (_ *installation, err error) {
	dir, err := os.MkdirTemp("", "cpsimage-verify-")
	if err != nil {
		return nil, err
	}
	d := &installation{program: o.Director, dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.end())
		}
	}()
	if image, err = image.bootable(ctx, dir, o.Step); err != nil {
		return nil, err
	}
	if err := image.runsHere(ctx, dir); err != nil {
		return nil, err
	}
	o.Step("starting a director")
	at, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(at)
	d.url = "https://localhost:" + port
	machines := fmt.Sprintf("RUNTIME = container\nROOTFS = %s\n", image.Path)
	if image.Disk {
		machines = fmt.Sprintf("RUNTIME = vm\nIMAGE = %s\nFIRMWARE = %s\nCPUS = %d\n", image.Path, string(o.Firmware), min(runtime.NumCPU(), processors))
	}
	text := fmt.Sprintf("[conpaas]\nDEPLOYMENT_NAME = verify\n\n[iaas]\nDRIVER = local\nSUBNET = %s\n%s\n[director]\nDIRECTOR_URL = %s\n", subnet, machines, d.url)
	if err := os.WriteFile(d.config(), []byte(text), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(d.log())
	if err != nil {
		return nil, err
	}
	defer log.Close()
	out, err := os.Create(d.out())
	if err != nil {
		return nil, err
	}
	defer out.Close()
	d.cmd = d.command(context.WithoutCancel(ctx), "serve", "--listen", at)
	d.cmd.Stdout, d.cmd.Stderr = out, log
	if err := d.cmd.Start(); err != nil {
		d.cmd = nil
		return nil, err
	}
	d.ended = make(chan struct{})
	go func() { _ = d.cmd.Wait(); close(d.ended) }() // end waits for it
	return d, d.answers(ctx)
}

func (d *installation) config() string { return filepath.Join(d.dir, "director.cfg") }
func (d *installation) data() string   { return filepath.Join(d.dir, "data") }
func (d *installation) log() string    { return filepath.Join(d.dir, "director.log") }
func (d *installation) out() string    { return filepath.Join(d.dir, "director.out") }

// command is one of the director's; the end of ctx kills it. A signal to the group of this process does not reach it: it
// is ended in order.
func (d *installation) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, d.program, append(args, "--config", d.config(), "--data", d.data())...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return c
}

// freeAddress gives an address that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// answers waits until the director serves.
func (d *installation) answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, errors.New("the director does not start"))
	defer cancel()
	look := time.NewTicker(lookTime)
	defer look.Stop()
	for {
		said, err := os.ReadFile(d.out())
		if err != nil || bytes.Contains(said, []byte("director:")) {
			return err
		}
		select {
		case <-look.C:
		case <-d.ended:
			return d.said(errors.New("the director has ended"))
		case <-ctx.Done():
			return d.said(context.Cause(ctx))
		}
	}
}

// said adds the end of the director's log to an error.
func (d *installation) said(err error) error {
	const lines = 15
	text, _ := os.ReadFile(d.log())
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return fmt.Errorf("%w; the end of its log:\n%s", err, strings.Join(all[max(0, len(all)-lines):], "\n"))
}

// during gives a context that ends with the director.
func (d *installation) during(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-d.ended:
			cancel(d.said(errors.New("the director has ended")))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil); <-over }
}

// login gives a client for the administrator, once the director says that its cloud can have machines.
func (d *installation) login(ctx context.Context) (*director.Client, error) {
	ca, err := os.ReadFile(filepath.Join(d.data(), "ca.pem"))
	if err != nil {
		return nil, err
	}
	password, err := os.ReadFile(filepath.Join(d.data(), "admin-password"))
	if err != nil {
		return nil, err
	}
	c, err := director.New(director.Config{URL: d.url, CA: ca})
	if err != nil {
		return nil, err
	}
	token, err := c.Login(ctx, api.Login{Username: "admin", Password: api.Secret(strings.TrimSpace(string(password)))})
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	if c, err = director.New(director.Config{URL: d.url, CA: ca, Token: token.Token}); err != nil {
		return nil, err
	}
	checks, err := c.CheckCloud(ctx, "default")
	if err != nil {
		return nil, err
	}
	var lacks []string
	for _, k := range checks {
		if !k.OK {
			lacks = append(lacks, k.Name+": "+k.Detail)
		}
	}
	if len(lacks) > 0 {
		return nil, fmt.Errorf("this host cannot boot the image: %s", strings.Join(lacks, "; "))
	}
	return c, nil
}

// end ends the director and removes everything that there was of it.
func (d *installation) end() error {
	if d.cmd != nil {
		if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("end the director: %w", err)
		}
		select {
		case <-d.ended:
		case <-time.After(endTime):
			_ = d.cmd.Process.Kill() // it may have ended by itself
			<-d.ended
		}
		ctx, cancel := context.WithTimeout(context.Background(), endTime) // also when the caller was interrupted
		defer cancel()
		clean := d.command(ctx, "cloud", "clean")
		if out, err := clean.CombinedOutput(); err != nil {
			return fmt.Errorf("remove what is left in %s; run %s: %w: %s", d.dir, strings.Join(clean.Args, " "), err, bytes.TrimSpace(out))
		}
	}
	if err := os.RemoveAll(d.dir); err != nil {
		return fmt.Errorf("remove %s: %w", d.dir, err)
	}
	return nil
}
