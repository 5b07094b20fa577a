// Package haproxy runs an HAProxy on the machine: it starts it, has it take over a configuration without a lost connection, and
// asks it how it is.
//
// It knows nothing of what is in the configuration, but that it has the mark of package conf as its description and
// a stats socket.
package haproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
)

// Name is that of the program, under which it is supervised and logs.
const Name = "haproxy"

// askTime is for one question.
const askTime = 2 * time.Second

const maxAnswer = 1 << 20

// Instance is the HAProxy of a service on this machine.
type Instance struct {
	Config string        // its configuration, below the host's state directory
	Socket string        // path of its stats socket
	Master string        // path of its master's socket, which leads to every worker, also to those that finish what they have
	Grace  time.Duration // for connections when it ends
}

// Outcome is what Apply has done.
type Outcome int

// The outcomes of Apply.
const (
	Unchanged Outcome = iota // it runs with this configuration, or the error came first
	Started                  // it may not answer yet
	Reloaded                 // it has taken over the configuration, or was told to where there is an error
)

// Apply makes HAProxy run with a configuration, whose mark is given beside. taken is the mark of the one that it was last seen to
// have taken over.
func (i Instance) Apply(ctx context.Context, h *host.Host, text []byte, mark, taken string) (Outcome, error) {
	path, err := h.Look(Name)
	if err != nil {
		return Unchanged, fmt.Errorf("%w; the image needs the package haproxy", err)
	}
	err = conf.Install(h, conf.File{Name: i.Config, Text: text, Mode: 0o644, Try: func(candidate string) ([]byte, int, error) {
		return h.Command(ctx, host.Command{Path: path, Args: []string{"-c", "-q", "-f", candidate}})
	}})
	if err != nil {
		return Unchanged, err
	}
	before, _ := h.Service().State(Name)
	err = h.Service().Ensure(ctx, host.Program{
		Name: Name, Path: path, Stop: syscall.SIGUSR1, Grace: i.Grace, Args: []string{"-W", "-S", i.Master, "-f", h.State().Path(i.Config)},
	})
	if err != nil {
		return Unchanged, err
	}
	after, _ := h.Service().State(Name)
	if !after.Adopted && after.PID != before.PID {
		return Started, nil
	}
	if taken == mark {
		return Unchanged, nil
	}
	// The master starts a worker with the new configuration, hands it the listeners, and lets the old one
	// finish. When that fails the old one goes on.
	if err := h.Service().Signal(Name, syscall.SIGUSR2); err != nil {
		return Unchanged, err
	}
	if err := conf.Await(ctx, mark, i.Mark); err != nil {
		return Reloaded, fmt.Errorf("haproxy has not taken over its configuration: %w%s", err, h.Logs().LastWords(Name))
	}
	return Reloaded, nil
}

// Mark gives the mark of the configuration that answers.
func (i Instance) Mark(ctx context.Context) (string, error) {
	answer, err := Ask(ctx, i.Socket, "show info")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(answer) {
		if mark, ok := strings.CutPrefix(strings.TrimSpace(line), "description: "); ok {
			return mark, nil
		}
	}
	return "", fmt.Errorf("haproxy does not tell its configuration")
}

// Ask asks a running HAProxy by one of its sockets (Management Guide 2.6, 9.3 "Unix Socket commands").
func Ask(ctx context.Context, socket, command string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	// The master's socket waits for more commands until there can be none.
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return "", fmt.Errorf("ask haproxy: %w", err)
		}
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	return string(answer), nil
}
