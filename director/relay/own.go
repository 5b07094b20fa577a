package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"conpaas/client/daemon"
	"conpaas/client/daemon/proc"
	"conpaas/vpn/relay"
)

// endTime is how long a relay has to end by itself.
const endTime = 5 * time.Second

// Place is a network in which the director's relay has a socket.
type Place struct {
	Name string // tells places apart, for example "cloud default 10.210.0.1:5555"
	Open func() (*net.UDPConn, error)
}

// Own is the director's own relay: a process that is started with its sockets, because they may be in other network
// namespaces, and that goes on when the director ends. It is for one goroutine at a time.
type Own struct {
	log     *slog.Logger
	program string // path of cpsdirector
	dir     string
	process *proc.Process // nil until the first Serve
}

// NewOwn gives the relay that has a directory.
func NewOwn(log *slog.Logger, program, dir string) *Own {
	return &Own{log: log, program: program, dir: dir}
}

func (o *Own) at(name string) string { return filepath.Join(o.dir, name) }

// Serve makes the relay forward for exactly these nodes, in these places. A process that runs goes on, also of an older
// version; one that has other places is replaced.
func (o *Own) Serve(ctx context.Context, nodes []relay.Node, places []Place) error {
	if err := WriteNodes(o.at(nodesFile), nodes); err != nil {
		return err
	}
	names := make([]string, len(places))
	for i, p := range places {
		names[i] = p.Name
	}
	slices.Sort(names)
	want := []byte(strings.Join(names, "\n"))
	if o.process == nil {
		process, _, err := proc.Adopt(o.at(stateFile))
		if err != nil {
			return fmt.Errorf("relay: %w", err)
		}
		o.process = process
	}
	if o.process != nil && o.process.Alive() {
		if have, err := os.ReadFile(o.at(placeFile)); err == nil && bytes.Equal(have, want) {
			return nil
		}
		o.log.Info("the relay is started again, for its networks have changed")
		if err := o.process.KillSession(ctx, endTime); err != nil {
			return fmt.Errorf("relay: %w", err)
		}
	}
	o.Release()
	return o.start(places, want)
}

// start opens the sockets and starts the process with them.
func (o *Own) start(places []Place, names []byte) error {
	spec := proc.Spec{
		Name: "relay", Path: o.program, Log: o.at(logFile), Env: []string{"GOMEMLIMIT=128MiB"},
		Args: []string{"relay", "serve", "--dir", o.dir, "--sockets", strconv.Itoa(len(places))},
	}
	defer func() {
		for _, f := range spec.Files {
			f.Close()
		}
	}()
	for _, p := range places {
		conn, err := p.Open()
		if err != nil {
			return fmt.Errorf("relay: %s: %w", p.Name, err)
		}
		file, err := conn.File()
		if err := errors.Join(err, conn.Close()); err != nil {
			return fmt.Errorf("relay: %s: %w", p.Name, err)
		}
		spec.Files = append(spec.Files, file)
	}
	if err := daemon.WriteFile(o.at(placeFile), names, 0o600); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	process, err := proc.Start(o.at(stateFile), spec)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	o.log.Info("the relay is started", "pid", process.PID(), "sockets", len(places))
	o.process = process
	return nil
}

// Ended is closed when the process ends; nil while there is none.
func (o *Own) Ended() <-chan struct{} {
	if o.process == nil {
		return nil
	}
	return o.process.Done()
}

// Release lets go of the process, which goes on.
func (o *Own) Release() {
	if o.process != nil {
		o.process.Release()
		o.process = nil
	}
}

// Running gives the process of the relay of a directory, 0 where none runs.
func Running(dir string) (pid int, err error) {
	process, alive, err := proc.Adopt(filepath.Join(dir, stateFile))
	if err != nil || process == nil {
		return 0, err
	}
	defer process.Release()
	if !alive {
		return 0, nil
	}
	return process.PID(), nil
}

// Stop ends the relay of a directory, if it runs, and forgets whom it served. Its key stays.
func Stop(ctx context.Context, dir string) (stopped bool, err error) {
	if _, err := os.Stat(filepath.Join(dir, stateFile)); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	process, alive, err := proc.Adopt(filepath.Join(dir, stateFile))
	if err != nil {
		return false, fmt.Errorf("end the relay: %w", err)
	}
	if alive {
		err = process.KillSession(ctx, endTime)
		process.Release()
		if err != nil {
			return false, fmt.Errorf("end the relay: %w", err)
		}
	}
	for _, name := range []string{stateFile, placeFile, nodesFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return alive, fmt.Errorf("end the relay: %w", err)
		}
	}
	return alive, nil
}

// WriteNodes replaces the file of a relay's nodes where they are others than in it.
func WriteNodes(path string, nodes []relay.Node) error {
	data, err := json.Marshal(nodes)
	if err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, data) {
		return nil
	}
	if err := daemon.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

// RunOwn is the body of the process: a relay with its sockets as descriptors from 3 on, until ctx ends.
func RunOwn(ctx context.Context, log *slog.Logger, dir string, sockets int) error {
	private, _, err := Key(dir)
	if err != nil {
		return err
	}
	config := relay.Config{Log: log, PrivateKey: private}
	for i := range sockets {
		file := os.NewFile(uintptr(3+i), "socket "+strconv.Itoa(i))
		conn, err := net.FilePacketConn(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("relay: socket %d of %d: %w", i, sockets, err)
		}
		udp, ok := conn.(*net.UDPConn)
		if !ok {
			return fmt.Errorf("relay: descriptor %d is no UDP socket", 3+i)
		}
		config.Conns = append(config.Conns, udp)
	}
	if sockets == 0 {
		return errors.New("relay: without a socket there is nothing to relay; cpsdirector serve starts it with some")
	}
	server, err := relay.New(config)
	if err != nil {
		return err
	}
	return server.RunFile(ctx, filepath.Join(dir, nodesFile))
}
