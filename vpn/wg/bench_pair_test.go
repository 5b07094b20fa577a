package wg_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"conpaas/vpn/wg"
	"conpaas/vpn/wgtest"
)

// pair is two ends of a network that is measured. What is sent to to's sink disappears, and its echo answers.
type pair struct {
	from *wgtest.Space
	sink netip.AddrPort
	echo netip.AddrPort
}

// newPair makes a pair of two namespaces with their addresses in the network, once datagrams cross it.
func newPair(b *testing.B, from, to *wgtest.Space, at, peer netip.Addr) *pair {
	b.Helper()
	p := &pair{from: from, sink: netip.AddrPortFrom(peer, 9), echo: netip.AddrPortFrom(peer, 4007)}
	listener, socket := to.Listen(b, p.sink), to.ListenUDP(b, p.echo)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err = io.Copy(io.Discard, c); err == nil {
				_, _ = c.Write([]byte{1}) // all has come; who sent it measures
			}
			c.Close()
		}
	}()
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, whence, err := socket.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			_, _ = socket.WriteToUDPAddrPort(buffer[:n], whence) // a lost one is asked for again
		}
	}()
	wgtest.Eventually(b, fmt.Sprintf("%s reaches %s", at, peer), func() bool {
		_, err := p.ask(b, 100*time.Millisecond)
		return err == nil
	})
	return p
}

// ask gives how long one datagram takes there and back, for at most patience.
func (p *pair) ask(b *testing.B, patience time.Duration) (time.Duration, error) {
	b.Helper()
	c, err := p.from.Dial(b.Context(), "udp4", p.echo)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	began, answer := time.Now(), make([]byte, 64)
	if _, err := c.Write(answer[:56]); err != nil {
		return 0, err
	}
	if err := c.SetReadDeadline(began.Add(patience)); err != nil {
		return 0, err
	}
	_, err = c.Read(answer)
	return time.Since(began), err
}

// ping gives the median of the ways there and back of 200 datagrams, one after another, in milliseconds.
func (p *pair) ping(b *testing.B) float64 {
	b.Helper()
	var took []float64
	for range 200 {
		t, err := p.ask(b, 5*time.Second)
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, t.Seconds()*1000)
	}
	return median(took)
}

// transfer sends so many bytes through one TCP connection and gives Gbit/s.
func (p *pair) transfer(b *testing.B, bytes int) float64 {
	b.Helper()
	c, err := p.from.Dial(b.Context(), "tcp4", p.sink)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	block := make([]byte, 1<<20)
	began := time.Now()
	for range bytes / len(block) {
		if _, err := c.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		b.Fatal(err)
	}
	if _, err := c.Read(block[:1]); err != nil {
		b.Fatal(err)
	}
	return float64(bytes) * 8 / 1e9 / time.Since(began).Seconds()
}

// median of no values is no number, which the table of figures shows as null.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	values = slices.Sorted(slices.Values(values))
	return values[len(values)/2]
}

func ownPair(b *testing.B) *pair {
	b.Helper()
	list := nodes(b, wgtest.NewBridge(b), 2)
	wgtest.Mesh(b, list...)
	return newPair(b, list[0].Space, list[1].Space, list[0].Overlay, list[1].Overlay)
}

// ends are the namespaces of a peer's pair, on a bridge as those of the overlay's nodes, and their outside addresses.
func ends(b *testing.B) (spaces [2]*wgtest.Space, outside [2]netip.Addr) {
	b.Helper()
	bridge := wgtest.NewBridge(b)
	for i := range spaces {
		outside[i] = netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		spaces[i] = bridge.Join(b, netip.PrefixFrom(outside[i], 24))
	}
	return spaces, outside
}

// barePair is wireguard-go as its authors' own program runs it: no limits, configured through its socket and left alone.
func barePair(b *testing.B) *pair {
	b.Helper()
	program := filepath.Join(b.TempDir(), "wireguard-go")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "golang.zx2c4.com/wireguard").CombinedOutput(); err != nil {
		b.Fatalf("build wireguard-go: %v\n%s", err, out)
	}
	spaces, outside := ends(b)
	var private, public [2]string
	for i := range spaces {
		var err error
		if private[i], public[i], err = wg.NewKey(); err != nil {
			b.Fatal(err)
		}
	}
	for i, s := range spaces {
		iface := wgtest.InterfaceName()
		run(b, s, program, iface)
		socket := "/var/run/wireguard/" + iface + ".sock"
		wgtest.Eventually(b, "wireguard-go listens", func() bool {
			c, err := net.Dial("unix", socket)
			if err != nil {
				return false
			}
			defer c.Close()
			_, err = fmt.Fprintf(c, "set=1\nprivate_key=%s\nlisten_port=51820\npublic_key=%s\nallowed_ip=%s/32\nendpoint=%s:51820\n\n",
				hexKey(b, private[i]), hexKey(b, public[1-i]), inside(1-i), outside[1-i])
			return err == nil
		})
		s.BringUp(b, iface, netip.PrefixFrom(inside(i), 12), wg.DefaultMTU)
	}
	return newPair(b, spaces[0], spaces[1], inside(0), inside(1))
}

// inside is the address of an end of a peer's pair in its network.
func inside(i int) netip.Addr { return netip.AddrFrom4([4]byte{172, 16, 0, byte(i + 1)}) }

func hexKey(b *testing.B, key string) string {
	b.Helper()
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		b.Fatal(err)
	}
	return hex.EncodeToString(raw)
}

// nebulaPair is two Nebula nodes that know where the other is. An error says why Nebula cannot be had.
func nebulaPair(b *testing.B) (*pair, error) {
	b.Helper()
	dir := b.TempDir()
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "github.com/slackhq/nebula/cmd/nebula", "github.com/slackhq/nebula/cmd/nebula-cert")
	build.Dir = "../../client/e2e/bench/nebula"
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build it: %w\n%s", err, out)
	}
	sign := func(args ...string) error {
		c := exec.Command(filepath.Join(dir, "nebula-cert"), args...)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("nebula-cert %s: %w\n%s", args[0], err, out)
		}
		return nil
	}
	if err := sign("ca", "-name", "bench"); err != nil {
		return nil, err
	}
	spaces, outside := ends(b)
	for i, s := range spaces {
		name := fmt.Sprint("n", i)
		if err := sign("sign", "-name", name, "-ip", inside(i).String()+"/12"); err != nil {
			return nil, err
		}
		config := filepath.Join(dir, name+".yml")
		text := fmt.Sprintf(`pki: {ca: %[1]s/ca.crt, cert: %[1]s/%[2]s.crt, key: %[1]s/%[2]s.key}
static_host_map: {"%[3]s": ["%[4]s:4242"]}
lighthouse: {am_lighthouse: false}
listen: {host: 0.0.0.0, port: 4242}
tun: {dev: nebula1, mtu: %[5]d}
logging: {level: error}
firewall:
  outbound: [{port: any, proto: any, host: any}]
  inbound: [{port: any, proto: any, host: any}]
`, dir, name, inside(1-i), outside[1-i], wg.DefaultMTU)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			return nil, err
		}
		run(b, s, filepath.Join(dir, "nebula"), "-config", config)
	}
	for i, s := range spaces {
		wgtest.Eventually(b, "Nebula has its address", func() bool {
			return s.Do(func() error {
				l, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside(i), 0)))
				if err == nil {
					err = l.Close()
				}
				return err
			}) == nil
		})
	}
	return newPair(b, spaces[0], spaces[1], inside(0), inside(1)), nil
}

// run runs a program in a namespace until the benchmark ends.
func run(b *testing.B, s *wgtest.Space, program string, args ...string) {
	b.Helper()
	c := exec.Command(program, args...)
	c.Env = append(os.Environ(), "WG_PROCESS_FOREGROUND=1") // wireguard-go is to stay, and to say nothing of the kernel's
	c.Stderr = os.Stderr
	if err := s.Do(c.Start); err != nil {
		b.Fatalf("start %s: %v", program, err)
	}
	b.Cleanup(func() {
		if err := c.Process.Signal(syscall.SIGTERM); err != nil {
			b.Errorf("end %s: %v", program, err)
		}
		_ = c.Wait() // a signal has ended it
	})
}
