package mysql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"conpaas/agent/host"
)

// LaunchCommand is the name of the agent's command that becomes the server.
const LaunchCommand = "mysql-server"

// Launch is what that command is told.
type Launch struct {
	Program string     // path of mariadbd
	Config  string     // path of its configuration; that of a server which begins the cluster is beside it
	Data    string     // its data directory
	Run     string     // where its marks are
	Address netip.Addr // where it listens
	Members string     // the addresses of the cluster's machines in its configuration, with commas between them
	Reserve string     // file that keeps room for this
}

// Ports for receiving all the data, below those of Galera.
const (
	receivePort  = 4444
	receivePorts = 100
)

// Marks in the server's run directory.
const (
	tokenFile    = "begin"      // the position from which the next launch is to begin the cluster
	launchedFile = "launched"   // what the last launch has found and done
	pidFile      = "mysqld.pid" // the server's own: it answers, or did so before it was killed
	socketFile   = "mysqld.sock"
)

// Begin takes the place of this process by the server. It finds out what the data has, and has the server begin the
// cluster when there is a token for just that, which it takes away before. It does not return without an error.
func (l Launch) Begin(ctx context.Context, log *slog.Logger) error {
	if err := errors.Join(l.forget(launchedFile), giveReserve(l.Reserve)); err != nil {
		return err
	}
	args := []string{l.Program, "--defaults-file=" + l.Config, "--wsrep-sst-receive-address=" + l.receiveAt()}
	p, conclusive, err := readPosition(l.Data)
	if err == nil && !conclusive {
		if p, err = recoverPosition(ctx, l.Program, l.Config, host.User{}); err == nil {
			args = append(args, "--wsrep-start-position="+string(p))
		}
	}
	if err != nil {
		return err
	}
	if err := l.forget(pidFile); err != nil {
		return err
	}
	begin, err := l.takeToken(p)
	if err != nil {
		return err
	}
	if begin {
		if err := allowBootstrap(l.Data); err != nil {
			return fmt.Errorf("begin the cluster: %w", err)
		}
		args[1] = "--defaults-file=" + filepath.Join(filepath.Dir(l.Config), beginConf)
		args = append(args, "--wsrep-new-cluster")
	}
	log.Info("the database server starts", "position", string(p), "begins", begin)
	if err := os.WriteFile(filepath.Join(l.Run, launchedFile), []byte(launched{os.Getpid(), begin, p, l.Members}.text()), 0o600); err != nil {
		return fmt.Errorf("note the launch: %w", err)
	}
	return fmt.Errorf("run %s: %w", l.Program, syscall.Exec(l.Program, args, append(os.Environ(), "BASH_ENV="+filepath.Join(filepath.Dir(l.Config), transferScript))))
}

// receiveAt gives where all the data of another machine is received, at a port that the launch before hardly had: the machine that gave to a server which
// was killed goes on for 11 s, and what came of that would be taken for the beginning of the next transfer, again and again.
func (l Launch) receiveAt() string {
	return netip.AddrPortFrom(l.Address, receivePort+uint16(rand.N(receivePorts))).String() //nolint:gosec // it need not be hard to guess
}

// takeToken tells whether there is a token for this position. There is none afterwards, also after a loss of power.
func (l Launch) takeToken(p position) (bool, error) {
	path := filepath.Join(l.Run, tokenFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := l.forget(tokenFile); err != nil {
		return false, err
	}
	return strings.TrimSpace(string(text)) == string(p), nil
}

// forget removes a mark; a missing one is no error.
func (l Launch) forget(name string) error {
	err := os.Remove(filepath.Join(l.Run, name))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// launched is the note of a launch; pid is 0 where the agent has only looked.
type launched struct {
	pid    int
	begins bool
	from   position
	knows  string // Launch.Members; "-" for none
}

func (l launched) text() string { return fmt.Sprintf("%d %t %s %s", l.pid, l.begins, l.from, l.knows) }

// parseLaunched reads a note. The server's user could have written anything there.
func parseLaunched(text []byte) (l launched, ok bool) {
	f := strings.Fields(string(text))
	if len(f) != 4 {
		return launched{}, false
	}
	pid, err1 := strconv.Atoi(f[0])
	begins, err2 := strconv.ParseBool(f[1])
	from, err3 := parsePosition(f[2])
	return launched{pid, begins, from, f[3]}, errors.Join(err1, err2, err3) == nil && pid >= 0
}
