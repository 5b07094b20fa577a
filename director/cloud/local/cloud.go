package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/director/cloud/local/address"
	"conpaas/director/cloud/local/bridge"
	"conpaas/director/cloud/local/cgroup"
	"conpaas/director/cloud/local/fault"
	"conpaas/director/cloud/local/image"
	"conpaas/director/cloud/local/qemu"
	"conpaas/director/cloud/local/rootfs"
	"conpaas/director/cloud/local/runc"
	"conpaas/director/cloud/local/task"
	"conpaas/director/cloud/local/volume"
)

var (
	_ cloud.Provider  = (*Cloud)(nil)
	_ cloud.Console   = (*Cloud)(nil)
	_ cloud.Publisher = (*Cloud)(nil)
	_ cloud.Images    = (*Cloud)(nil)
	_ cloud.Volumes   = (*Cloud)(nil)
	_ cloud.Host      = (*Cloud)(nil)
	_ cloud.Cleaner   = (*Cloud)(nil)
)

// kind is how the runtime does its part of a machine's life. What is done twice is done once.
type kind interface {
	// up makes what all machines share. The machines given exist already.
	up(ctx context.Context, existing []record) error
	// down lets go of what up holds in this process.
	down() error
	// build makes a machine up to the moment before its first process runs user-data. The directory exists.
	build(ctx context.Context, r record, userData []byte) (record, error)
	// start lets a whole machine run its user-data and gives its first process.
	start(ctx context.Context, r record) (task.Task, error)
	// connect makes sure that a running machine has its network.
	connect(r record) error
	// release ends what works on building the machine, before its processes are ended.
	release(ctx context.Context, id cloud.MachineID) error
	// remove takes away what is outside the machine's directory and control group, after its processes have ended.
	remove(r record) error
	// publish makes a port of a machine reachable on the host, and unpublish ends that for all of a machine. republish is
	// called when all machines are known, for what a former director published, and keep sees to it until ctx ends.
	publish(ctx context.Context, m *machine, port uint16) (string, error)
	unpublish(ctx context.Context, id cloud.MachineID) error
	republish(ctx context.Context)
	keep(ctx context.Context)
	// form is how the content of new volumes is kept. plug makes a volume part of a machine whose first process lives, and gives what
	// its kernel calls it, "" where it is mounted; what is part of it already stays. unplug is the opposite.
	form() volume.Form
	plug(ctx context.Context, r record, v volume.Record) (device string, err error)
	unplug(ctx context.Context, r record, v volume.Record) error
	// check looks for what the host lacks.
	check(ctx context.Context) []api.Check
	// forget removes what was unpacked of a published image with this digest, where no machine has it.
	forget(digest string)
	// prepare does beforehand what would make the first launch slow.
	prepare(ctx context.Context)
}

// Cloud is one local cloud.
type Cloud struct {
	config   cloud.Config
	set      settings
	mode     mode
	at       layout
	kind     kind
	slots    chan struct{} // launches at the same time
	listener net.Listener

	published image.Store
	choosing  sync.RWMutex // held to write while an image is removed, to read while a machine gets one
	volumes   volume.Store
	claims    claims // of volumes and tokens

	mu       sync.Mutex
	running  bool // between Start and Close
	machines map[cloud.MachineID]*machine
	tokens   map[string]*machine
	ghosts   []ghost
	lacking  []api.Check // what the host lacked at the last look

	end     context.CancelFunc                // of the life between Start and Close
	atEnd   func(func()) (cancel func() bool) // calls a function when the life ends
	work    sync.WaitGroup                    // watchers and calls
	lock    *os.File
	groups  cgroup.Hierarchies // none where machines have no limits
	held    keeper
	pool    *address.Pool
	hostRun string // boot id of the host
}

func newCloud(c cloud.Config, s settings, m mode) *Cloud {
	c.Dir = filepath.Clean(c.Dir)
	l := &Cloud{
		config: c, set: s, mode: m, at: newLayout(c.Dir, m), published: image.Store{Dir: newLayout(c.Dir, m).published()}, slots: make(chan struct{}, 2*runtime.NumCPU()),
		machines: map[cloud.MachineID]*machine{}, tokens: map[string]*machine{}, claims: claims{held: map[string]chan struct{}{}},
	}
	l.volumes = volume.Store{Dir: l.at.volumes(), Place: l.place}
	switch s.runtime {
	case RuntimeProcess:
		l.kind = &processes{cloud: l}
	case RuntimeVM:
		l.kind = newVMs(l)
	default:
		l.kind = &containers{bridged: bridged{cloud: l}, runc: runc.Runtime{State: l.at.runc()}, images: rootfs.Store{Dir: l.at.images()}}
	}
	return l
}

// Listener is where machines reach the director; nil for processes, and before Start.
func (c *Cloud) Listener() net.Listener { return c.listener }

// RelaySocket opens the UDP port of the number that the director's TCP port has.
func (c *Cloud) RelaySocket() (*net.UDPConn, error) {
	k, ok := c.kind.(interface{ network() *bridge.Network })
	if !ok || k.network() == nil {
		return nil, c.wrong("relay", "the cloud has no network for a relay, or is not started")
	}
	at := netip.AddrPortFrom(address.Gateway(c.set.subnet), c.set.port)
	var conn *net.UDPConn
	err := k.network().Namespace.Do(func() (err error) {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		return nil, c.form("relay", fmt.Errorf("listen on UDP %s of the cloud's network: %w", at, err))
	}
	return conn, nil
}

// DirectorAddress is what machines dial, "" for processes.
func (c *Cloud) DirectorAddress() string {
	if c.set.runtime == RuntimeProcess {
		return ""
	}
	return net.JoinHostPort(address.Gateway(c.set.subnet).String(), fmt.Sprint(c.set.port))
}

// OverlayActive is false for processes.
func (c *Cloud) OverlayActive() bool { return c.set.runtime != RuntimeProcess }

// MachineListen reserves the address of the process machine that will be launched with token.
func (c *Cloud) MachineListen(token string) string {
	c.mu.Lock()
	pool := c.pool
	c.mu.Unlock()
	if c.OverlayActive() || pool == nil || checkToken(token) != nil {
		return ""
	}
	a, err := pool.Reserve(token)
	if err != nil {
		return "" // Launch asks again and tells why
	}
	return a.String()
}

// place calls the test's failpoint.
func (c *Cloud) place(name string) {
	if c.config.Failpoint != nil {
		c.config.Failpoint(name)
	}
}

// call is one call of the cloud that has begun.
type call struct {
	fault fault.Fault
	end   func(error) error // ends it and gives its error the form of a cloud's error
}

// begin begins a call: it makes the trouble that the schedule wants, and ends the call's context with the cloud's life.
func (c *Cloud) begin(ctx context.Context, op string) (context.Context, call, error) {
	if err := ctx.Err(); err != nil {
		return nil, call{}, c.form(op, err)
	}
	f := c.set.faults.Next(op)
	injected := &cloud.Error{Kind: f.Kind, Cloud: c.config.Name, Op: op, Text: "injected by FAULTS " + f.Rule}
	if f.Delay > 0 {
		late := time.NewTimer(f.Delay)
		defer late.Stop()
		select {
		case <-late.C:
		case <-ctx.Done():
			return nil, call{}, c.form(op, ctx.Err())
		}
	}
	if f.Kind != "" && !f.After {
		return nil, call{}, injected
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.running {
		return nil, call{}, c.wrong(op, "the cloud is not started")
	}
	c.work.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := c.atEnd(cancel)
	return ctx, call{fault: f, end: func(err error) error {
		stop()
		cancel()
		c.work.Done()
		if err == nil && f.After {
			return injected
		}
		return c.form(op, err)
	}}, nil
}

// form gives an error its kind.
func (c *Cloud) form(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, is := errors.AsType[*cloud.Error](err); is {
		return err
	}
	e := &cloud.Error{Kind: cloud.KindTransient, Cloud: c.config.Name, Op: op, Err: err}
	for _, k := range []struct {
		kind cloud.Kind
		errs []error
	}{
		{cloud.KindTransient, []error{context.Canceled, context.DeadlineExceeded}},
		{cloud.KindInUse, []error{volume.ErrBusy, qemu.ErrHeld}},
		{cloud.KindCapacity, []error{address.ErrFull, bridge.ErrFull, unix.ENOSPC, unix.ENOMEM, unix.EAGAIN, unix.EMFILE, unix.ENFILE}},
		{cloud.KindPermanent, []error{runc.ErrMissing, runc.ErrRefused, qemu.ErrRefused, rootfs.ErrImage, cloud.ErrContent, volume.ErrMissing, exec.ErrNotFound, unix.EPERM, unix.EACCES}},
	} {
		for _, known := range k.errs {
			if errors.Is(err, known) {
				e.Kind = k.kind
				return e
			}
		}
	}
	return e
}

// wrong is an error that only another request or configuration mends.
func (c *Cloud) wrong(op, format string, args ...any) error {
	return &cloud.Error{Kind: cloud.KindPermanent, Cloud: c.config.Name, Op: op, Text: fmt.Sprintf(format, args...)}
}

// unknown is the error for a machine that does not exist.
func (c *Cloud) unknown(op string, id cloud.MachineID) error {
	return &cloud.Error{Kind: cloud.KindNotFound, Cloud: c.config.Name, Op: op, Text: fmt.Sprintf("there is no machine %s", id)}
}
