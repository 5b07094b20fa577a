// Package verify boots images for real: a director of its own, on the local cloud of this host, starts an application, and
// the image is good when the application's manager has fetched its code, joined and connected.
//
// It must not know how images are made. What it starts it ends, and nothing of it stays on the host.
package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
)

// Firmware is what a disk image boots under.
type Firmware string

// The firmwares. A container has none.
const (
	None Firmware = ""
	BIOS Firmware = "bios" // SeaBIOS
	UEFI Firmware = "uefi" // OVMF
)

// String names it for people.
func (f Firmware) String() string {
	return map[Firmware]string{None: "container", BIOS: "SeaBIOS", UEFI: "OVMF"}[f]
}

// Options say how an image is verified.
type Options struct {
	Director string // path of the program cpsdirector, with cpsmanager and cpsagent beside it
	Firmware Firmware
	Timeout  time.Duration     // from the director's start to the joined manager
	Step     func(text string) // is told what is done now
}

// Result is what was measured of an image that is good.
type Result struct {
	Joined time.Duration // from power-on to the node's certificate, code fetched and verified
	Ready  time.Duration // from power-on to the manager at work
}

// errInterrupted is an error, as an image that was not verified is not good.
var errInterrupted = errors.New("interrupted; the image was not verified")

// Run verifies an image once. The error of an image that does not join has the end of its console.
func Run(ctx context.Context, image Image, o Options) (r Result, err error) {
	if image.Disk != (o.Firmware != None) {
		return r, fmt.Errorf("%s: a disk image boots under a firmware, and a root file system under none", image.Path)
	}
	limited, cancel := context.WithTimeoutCause(ctx, o.Timeout, fmt.Errorf("it has not joined within %s", o.Timeout))
	defer cancel()
	d, err := start(limited, image, o)
	if err != nil {
		return r, interrupted(ctx, err)
	}
	defer func() {
		o.Step("removing the machine and the director")
		err = errors.Join(err, d.end())
	}()
	limited, stop := d.during(limited)
	defer stop()
	c, err := d.login(limited)
	if err != nil {
		return r, interrupted(ctx, err)
	}
	r, err = join(limited, c, o.Step)
	if err != nil {
		return r, interrupted(ctx, fmt.Errorf("%w\n%s", err, console(context.WithoutCancel(ctx), c)))
	}
	return r, nil
}

func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// join starts an application and waits for its manager.
func join(ctx context.Context, c *director.Client, step func(string)) (Result, error) {
	var r Result
	step("creating an application")
	a, err := c.CreateApplication(ctx, api.ApplicationCreate{Name: "verify"})
	if err != nil {
		return r, err
	}
	if _, err := c.StartApplication(ctx, a.ID.String()); err != nil {
		return r, err
	}
	var on time.Time
	for e, err := range c.FollowApplicationEvents(ctx, a.ID.String(), 0) {
		if cause := context.Cause(ctx); cause != nil {
			return r, cause
		}
		if err != nil {
			return r, err
		}
		switch e.Kind {
		case "node." + string(api.NodeBooting):
			on = e.Time
			step("the machine is on; waiting for it to fetch its code and join")
		case "node." + string(api.NodeJoined):
			r.Joined = e.Time.Sub(on)
			step("it has joined; waiting for its manager to connect")
		case "node." + string(api.NodeReady):
			r.Ready = e.Time.Sub(on)
			return r, nil
		case "node." + string(api.NodeFailed):
			return r, fmt.Errorf("the machine has failed: %s", e.Text)
		}
	}
	return r, errors.New("the director tells nothing any more")
}

// console gives the end of what the machine printed.
func console(ctx context.Context, c *director.Client) string {
	const lines, bytes, patience = 40, 1 << 20, 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	nodes, err := c.Nodes(ctx, "verify")
	if err != nil || len(nodes) == 0 {
		return fmt.Sprintf("There is no console: %d machines, %v", len(nodes), err)
	}
	text, err := c.Console(ctx, nodes[0].ID)
	if err != nil {
		return fmt.Sprintf("There is no console: %v", err)
	}
	defer text.Close()
	printed, err := io.ReadAll(io.LimitReader(text, bytes))
	if err != nil {
		return fmt.Sprintf("The console cannot be read: %v", err)
	}
	all := strings.Split(strings.TrimSpace(plain(string(printed))), "\n")
	return "The end of its console:\n" + strings.Join(all[max(0, len(all)-lines):], "\n")
}

// plain leaves out what a terminal would obey.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}
