//go:build linux

package wgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"conpaas/vpn"
	"conpaas/vpn/wg"
)

// overlayVariable tells a test binary to be an overlay process; its value is the interface's name.
const overlayVariable = "CONPAAS_WGTEST_OVERLAY"

// Port is the UDP port of every Node's WireGuard device.
const Port = 51820

// patience is how long the helpers wait for what must happen.
const patience = 20 * time.Second

// Main must be the first call of TestMain in a test that uses Node: in the overlay process it does not
// return.
func Main() {
	iface := os.Getenv(overlayVariable)
	if iface == "" {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	go Lifeline(stop)
	err := wg.RunUserspace(ctx, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})), iface, 0)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Lifeline calls end when the test that started this process, with a pipe as its standard input that it holds
// open, is gone, however it ended.
func Lifeline(end func()) {
	// Nothing is ever written; the read ends when the other end of the pipe is closed.
	_, _ = io.Copy(io.Discard, os.Stdin)
	end()
}

// NewLifeline gives the standard input of a process that calls Lifeline. The caller closes it once the
// process has it.
func NewLifeline(t testing.TB) *os.File {
	t.Helper()
	in, held, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { held.Close() })
	return in
}

// Node is an overlay node: a namespace, a userspace device process in it, and its configuration.
type Node struct {
	*Space
	Name     string
	Private  string // overlay private key
	Key      string // overlay public key
	Outside  netip.Addr
	Overlay  netip.Addr
	Network  netip.Prefix
	Iface    string
	Device   *wg.Device
	Process  *os.Process
	finished chan struct{}
}

// NewNode joins a bridge with the outside address, starts a device process and sets it up.
func NewNode(t testing.TB, b *Bridge, name string, outside netip.Prefix, plan vpn.Plan, overlay netip.Addr) *Node {
	t.Helper()
	private, public, err := wg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{
		Space: b.Join(t, outside), Name: name, Private: private, Key: public,
		Outside: outside.Addr(), Overlay: overlay, Network: plan.Prefix(), Iface: InterfaceName(),
	}
	n.StartProcess(t)
	n.SetUp(t)
	n.Device, err = wg.Open(n.Iface)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Device.Close() })
	return n
}

var interfaces atomic.Uint32

// InterfaceName gives a name that no other test on this machine uses: the sockets of all namespaces lie in
// one folder.
func InterfaceName() string {
	return "t" + strconv.FormatInt(int64(os.Getpid()), 36) + "n" + strconv.FormatUint(uint64(interfaces.Add(1)), 36)
}

// StartProcess starts the device process; it is ended with the test.
func (n *Node) StartProcess(t testing.TB) {
	t.Helper()
	stdin := NewLifeline(t)
	defer stdin.Close()
	self, err := os.Executable()
	if err == nil {
		err = n.Do(func() (err error) {
			n.Process, err = os.StartProcess(self, []string{self}, &os.ProcAttr{
				Env:   append(os.Environ(), overlayVariable+"="+n.Iface),
				Files: []*os.File{stdin, nil, os.Stderr},
			})
			return err
		})
	}
	if err != nil {
		t.Fatalf("start the overlay process of %s: %v", n.Name, err)
	}
	process, finished := n.Process, make(chan struct{})
	n.finished = finished
	go func() {
		defer close(finished)
		// How it ended is the test's business only where it looks itself.
		_, _ = process.Wait()
	}()
	t.Cleanup(func() {
		// It may be gone already, which is as good.
		_ = process.Signal(syscall.SIGTERM)
		select {
		case <-finished:
		case <-time.After(patience):
			t.Errorf("the overlay process of %s does not end", n.Name)
			_ = process.Kill()
		}
		_ = os.Remove("/var/run/wireguard/" + n.Iface + ".sock")
	})
}

// Kill ends the device process at once, as a crash does.
func (n *Node) Kill(t testing.TB) {
	t.Helper()
	if err := n.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("kill the overlay process of %s: %v", n.Name, err)
	}
	<-n.finished
}

// SetUp configures the device.
func (n *Node) SetUp(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := n.Do(func() error {
		return wg.Setup(ctx, wg.DeviceConfig{
			Interface: n.Iface, PrivateKey: n.Private, Port: Port, Address: n.Overlay, Network: n.Network,
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Endpoint is where the node's device is on the outside.
func (n *Node) Endpoint() netip.AddrPort { return netip.AddrPortFrom(n.Outside, Port) }

// Peer is the node as others are to know it.
func (n *Node) Peer() vpn.Peer {
	return vpn.Peer{Name: n.Name, Key: n.Key, Address: n.Overlay, Endpoint: n.Endpoint()}
}

// Mesh makes every node a peer of every other.
func Mesh(t testing.TB, nodes ...*Node) {
	t.Helper()
	for _, n := range nodes {
		var peers []vpn.Peer
		for _, other := range nodes {
			if other != n {
				peers = append(peers, other.Peer())
			}
		}
		if err := n.Device.Replace(peers); err != nil {
			t.Fatal(err)
		}
	}
}

// State gives how the node sees a peer.
func (n *Node) State(t testing.TB, key string) (wg.PeerState, bool) {
	t.Helper()
	states, err := n.Device.Peers()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Key == key {
			return s, true
		}
	}
	return wg.PeerState{}, false
}

// Eventually waits until f is true.
func Eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		if time.Now().After(deadline) {
			t.Fatalf("this did not happen within %s: %s", patience, what)
		}
		<-tick.C
	}
}
