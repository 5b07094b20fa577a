package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/client/api"
)

// inside runs a command in the network namespace of the local cloud.
func (w *world) inside(name string, args ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--net=" + filepath.Join(w.data(), "clouds/default/netns"), name}, args...)...)
}

// fetch asks for the page of another machine from a node, over whichever address; "" when there is none within two seconds.
func (w *world) fetch(node api.NodeID, address string) string {
	out, err := w.try("node", "exec", string(node), "--", "curl", "-s", "--max-time", "2", "http://"+address+":8080/")
	if err != nil {
		return ""
	}
	return out
}

// Two applications have the same addresses and never meet, neither in their networks nor on the wire between the machines.
func TestApplicationsAreIsolated(t *testing.T) {
	w := shop(t, "container", 2)
	w.cps("application", "create", "other")
	w.cps("service", "add", "helloworld", "other")
	w.cps("service", "start", "other", "helloworld")
	var others []api.Node
	if err := json.Unmarshal([]byte(w.cps("node", "list", "other", "-o", "json")), &others); err != nil {
		t.Fatal(err)
	}
	other, mine := others[1], w.nodes()[1:]
	if other.Overlay != mine[0].Overlay {
		t.Fatalf("the applications have different addresses: %s and %s", other.Overlay, mine[0].Overlay)
	}
	// The first machine of each has the same address; the second exists in the shop only.
	if page := w.fetch(mine[0].ID, mine[1].Overlay.String()); !strings.Contains(page, string(mine[1].ID)) {
		t.Errorf("a machine of the shop does not reach the second one: %q", page)
	}
	if page := w.fetch(other.ID, mine[1].Overlay.String()); page != "" {
		t.Errorf("a machine of another application reaches the shop over its network: %q", page)
	}
	if page := w.fetch(other.ID, mine[1].Address); page != "" {
		t.Errorf("a machine of another application reaches the shop on the wire: %q", page)
	}
	if page := w.fetch(mine[0].ID, mine[1].Address); page != "" {
		t.Errorf("machines of one application reach each other outside of their network: %q", page)
	}
}

// Whatever happens in an application, the wire between its machines carries sealed datagrams, calls to the director and
// requests to published ports, and nothing else.
func TestOnlySealedTrafficOnTheWire(t *testing.T) {
	w := newWorld(t, t.TempDir(), "container")
	t.Cleanup(w.close)
	w.start()
	capture := w.inside("tcpdump", "-i", "any", "-nn", "-l", "-q", "--immediate-mode", "-s", "96", "not", "arp")
	lines, err := capture.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := capture.Start(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan map[string]int, 1)
	go func() { seen <- classify(lines) }()

	w.login()
	w.cps("application", "create", "shop")
	w.cps("service", "add", "helloworld", "shop")
	w.cps("service", "start", "shop", "helloworld")
	w.cps("service", "add-nodes", "shop", "helloworld", "--node", "2")
	nodes := w.nodes()
	if page := w.fetch(nodes[1].ID, nodes[2].Overlay.String()); page == "" {
		t.Error("the machines do not reach each other")
	}
	l := startLoad(t, w.endpoints())
	w.cps("service", "remove-nodes", "shop", "helloworld", "--node", "1")
	l.cancel()
	l.group.Wait()
	if err := capture.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	kinds := <-seen
	_ = capture.Wait()
	for _, want := range []string{"sealed", "director", "published"} {
		if kinds[want] == 0 {
			t.Errorf("no %s packet was seen", want)
		}
		delete(kinds, want)
	}
	for line, count := range kinds {
		t.Errorf("%d × %s", count, line)
	}
}

var packet = regexp.MustCompile(`IP (\d+\.\d+\.\d+\.\d+)\.(\d+) > (\d+\.\d+\.\d+\.\d+)\.(\d+): (UDP|tcp)`)

// classify counts packets by what they are allowed to be; others by their line without the time.
func classify(lines interface{ Read([]byte) (int, error) }) map[string]int {
	gateway := netip.MustParseAddr("10.210.0.1")
	kinds := make(map[string]int)
	scanner := bufio.NewScanner(lines)
	for scanner.Scan() {
		_, line, _ := strings.Cut(scanner.Text(), " ")
		m := packet.FindStringSubmatch(line)
		wireguard := func(port string) bool { return port == "51820" || port == "51821" }
		switch {
		case line == "" || strings.Contains(line, "lo "): // the loopback of the namespace is no wire
		case strings.Contains(line, "ICMP") && strings.Contains(line, "udp port 51820 unreachable"):
			// A machine is probed from the moment that its key is known, a little before it listens.
		case m == nil:
			kinds[line]++
		case m[5] == "UDP" && wireguard(m[2]) && wireguard(m[4]):
			kinds["sealed"]++
		case m[5] == "UDP" && (m[1] == gateway.String() && m[2] == "5555" && m[4] == "51820" || m[3] == gateway.String() && m[4] == "5555" && m[2] == "51820"):
			kinds["sealed"]++ // registration at the director's relay, and what it forwards
		case m[5] == "tcp" && (m[1] == gateway.String() && m[2] == "5555" || m[3] == gateway.String() && m[4] == "5555"):
			kinds["director"]++
		case m[5] == "tcp" && (m[1] == gateway.String() && m[4] == "8080" || m[3] == gateway.String() && m[2] == "8080"):
			kinds["published"]++
		default:
			kinds[line]++
		}
	}
	return kinds
}

// Machines that lose the direct way to each other go on through a relay, and come back to the direct way.
func TestBlockedMachinesAreRelayed(t *testing.T) {
	w := shop(t, "container", 2)
	nodes := w.nodes()
	a, b := nodes[1], nodes[2]
	if page := w.fetch(a.ID, b.Overlay.String()); page == "" {
		t.Fatal("the machines do not reach each other")
	}
	rules := fmt.Sprintf(`table bridge blocked {
	chain forward { type filter hook forward priority -10;
		ip saddr %[1]s ip daddr %[2]s drop
		ip saddr %[2]s ip daddr %[1]s drop
	}
}`, a.Address, b.Address)
	block := w.inside("nft", "-f", "-")
	block.Stdin = strings.NewReader(rules)
	if out, err := block.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v\n%s", err, out)
	}
	began := time.Now()
	w.eventually(60*time.Second, "the page comes through a relay", func() error {
		if page := w.fetch(a.ID, b.Overlay.String()); !strings.Contains(page, string(b.ID)) {
			return fmt.Errorf("page %q", page)
		}
		return nil
	})
	t.Logf("relayed after %v", time.Since(began).Round(time.Millisecond))
	w.eventually(30*time.Second, "the network shows the relay", func() error {
		var network api.ApplicationNetwork
		if err := json.Unmarshal([]byte(w.cps("application", "network", "shop", "-o", "json")), &network); err != nil {
			return err
		}
		for _, n := range network.Nodes {
			for _, p := range n.Peers {
				if n.Node == a.ID && p.Peer == b.ID && p.Path == api.PathRelayed && p.Relay == "manager" {
					return nil
				}
			}
		}
		return fmt.Errorf("%+v", network.Nodes)
	})
}
