package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"conpaas/client/api"
)

// block gives the bridge of the local cloud more rules, which unblock takes away; rules stand in nft's words in a chain.
func (w *world) block(chain, rules string) {
	w.t.Helper()
	nft := w.inside("nft", "-f", "-")
	nft.Stdin = strings.NewReader(fmt.Sprintf("table bridge blocked_%[1]s {\n\tchain %[1]s { type filter hook %[1]s priority -10;\n%[2]s\n\t}\n}", chain, rules))
	if out, err := nft.CombinedOutput(); err != nil {
		w.t.Fatalf("nft: %v\n%s", err, out)
	}
}

func (w *world) unblock(chain string) {
	w.t.Helper()
	if out, err := w.inside("nft", "delete", "table", "bridge", "blocked_"+chain).CombinedOutput(); err != nil {
		w.t.Fatalf("nft: %v\n%s", err, out)
	}
}

// enter runs a command on a machine, past agent and director.
func (m machine) enter(args ...string) (string, error) {
	out, err := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(m.Task.PID), "--mount", "--net"}, args...)...).CombinedOutput()
	return string(out), err
}

// pathOf gives how a node sees a peer, as cps shows it.
func (w *world) pathOf(node, peer api.NodeID) (api.PeerStatus, error) {
	var network api.ApplicationNetwork
	out, err := w.try("application", "network", "shop", "-o", "json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &network)
	}
	for _, n := range network.Nodes {
		if i := slices.IndexFunc(n.Peers, func(p api.PeerStatus) bool { return p.Peer == peer }); n.Node == node && i >= 0 {
			return n.Peers[i], nil
		}
	}
	return api.PeerStatus{}, fmt.Errorf("node %s does not name %s: %+v, %w", node, peer, network.Nodes, err)
}

func (w *world) awaitPath(limit time.Duration, node, peer api.NodeID, path api.PathKind, relay string) {
	w.t.Helper()
	w.eventually(limit, fmt.Sprintf("%s reaches %s: %s %s", node, peer, path, relay), func() error {
		p, err := w.pathOf(node, peer)
		if err == nil && (p.Path != path || p.Relay != relay) {
			err = fmt.Errorf("it is %+v", p)
		}
		return err
	})
}

// relayPort is that of the administrator's relay in the test.
const relayPort = "10.210.0.1:51822"

// ownRelay makes a relay as an administrator does, by what the programs print, and has the director know it. The function
// that it gives starts the relay, once the director runs, and another one ends it.
func (w *world) ownRelay() (start func() (stop func())) {
	w.t.Helper()
	out, err := w.command("cpsdirector", "relay", "line", "--dir", w.path("relay"), "--public", relayPort).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	text, err := os.ReadFile(w.path("director.cfg"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("director.cfg", strings.Replace(string(text), "[conpaas]\n", "[conpaas]\nVPN_BOOTSTRAP_NODES =\n    "+string(out), 1))
	return func() func() {
		// It stands on the bridge beside the director, where the cloud lets nobody else stand.
		if out, err := w.inside("nft", "insert", "rule", "bridge", "conpaas", "input", "ip", "daddr", "10.210.0.1", "udp", "dport", "51822", "accept").CombinedOutput(); err != nil {
			w.t.Fatalf("nft: %v\n%s", err, out)
		}
		log, err := os.Create(w.path("relay.log"))
		if err != nil {
			w.t.Fatal(err)
		}
		defer log.Close()
		c := w.inside(filepath.Join(w.bin, "cpsdirector"), "relay", "run", "--dir", w.path("relay"), "--listen", relayPort,
			"--director", w.url(), "--address", "10.210.0.1:5555", "--ca", filepath.Join(w.data(), "ca.pem"))
		c.Stdout, c.Stderr = log, log
		if err := c.Start(); err != nil {
			w.t.Fatal(err)
		}
		stop := sync.OnceFunc(func() {
			_ = c.Process.Kill()
			_ = c.Wait()
		})
		w.t.Cleanup(stop)
		return stop
	}
}

// Machines that do not reach each other go on through their manager's relay; when that is lost through an
// administrator's, named in VPN_BOOTSTRAP_NODES; and when that is lost through the director's, whether the director runs
// or not.
func TestRelaysOfAnInstallation(t *testing.T) {
	w := newWorld(t, t.TempDir(), "container")
	t.Cleanup(w.close)
	startRelay := w.ownRelay()
	w.shop(2)
	stopRelay := startRelay()
	nodes := w.nodes()
	m, a, b := manager(nodes), nodes[1], nodes[2]
	if page := w.fetch(a.ID, b.Overlay.String()); page == "" {
		t.Fatal("the machines do not reach each other")
	}
	reaches := func() error {
		if page := w.fetch(a.ID, b.Overlay.String()); !strings.Contains(page, string(b.ID)) {
			return fmt.Errorf("page %q", page)
		}
		return nil
	}
	through := func(relay string) {
		t.Helper()
		began := time.Now()
		w.eventually(90*time.Second, "the page comes through the relay "+relay, reaches)
		t.Logf("relayed by %s after %v", relay, time.Since(began).Round(time.Millisecond))
		w.awaitPath(60*time.Second, a.ID, b.ID, api.PathRelayed, relay)
	}
	w.eventually(30*time.Second, "the administrator's relay knows whom to serve", func() error {
		text, err := os.ReadFile(filepath.Join(w.path("relay"), "nodes.json"))
		if err == nil && strings.Count(string(text), "Key") != 3 {
			err = fmt.Errorf("it serves %s", text)
		}
		return err
	})
	w.block("forward", fmt.Sprintf("ip saddr %[1]s ip daddr %[2]s drop\nip saddr %[2]s ip daddr %[1]s drop", a.Address, b.Address))
	through("manager")
	w.unblock("forward")
	w.block("forward", fmt.Sprintf("ip saddr %[1]s ip daddr %[2]s drop\nip saddr %[2]s ip daddr %[1]s drop\nip daddr %[3]s udp dport 51821 drop",
		a.Address, b.Address, m.Address))
	through(relayPort)
	stopRelay()
	through("director")

	// A machine asks another for a long answer while the director is killed and comes back.
	script := fmt.Sprintf("for i in $(seq 40); do curl -s --max-time 2 http://%s:8080/ || echo lost; done", b.Overlay)
	machine := w.machine(a.ID)
	w.kill()
	out, err := machine.enter("sh", "-c", script)
	if err != nil || strings.Contains(out, "lost") || strings.Count(out, string(b.ID)) < 40 {
		t.Errorf("without the director: %v\n%.300s", err, out)
	}
	w.start()
	w.eventually(30*time.Second, "the page comes with the director back", reaches)
	w.unblock("forward")
	w.awaitPath(120*time.Second, a.ID, b.ID, api.PathDirect, "")
}

// A machine whose UDP is blocked wholly joins, gets its spec and reports, by the director; what its network shows is
// true, and when UDP comes back the agent moves to its manager.
func TestMachinesWithoutUDP(t *testing.T) {
	w := shop(t, "container", 1)
	nodes := w.nodes()
	m := manager(nodes)
	rules := ""
	for _, n := range nodes {
		rules += fmt.Sprintf("ip saddr %[1]s meta l4proto udp accept\n", n.Address)
	}
	// What comes from any other machine, those that are to come, is dropped where it enters the bridge.
	w.block("prerouting", rules+"meta l4proto udp drop")
	done := make(chan error, 1)
	go func() {
		_, err := w.try("service", "add-nodes", "shop", "helloworld", "--node", "1")
		done <- err
	}()
	began := time.Now()
	if err := <-done; err != nil {
		t.Fatalf("a machine without UDP does not become part of the service: %v", err)
	}
	t.Logf("the machine is ready after %v", time.Since(began).Round(time.Second))
	now := w.nodes()
	late := now[len(now)-1]
	w.awaitPath(30*time.Second, late.ID, m.ID, api.PathSpliced, "director")
	w.eventually(30*time.Second, "what is carried is counted", func() error {
		p, err := w.pathOf(late.ID, m.ID)
		if err == nil && (p.Sent == 0 || p.Received == 0) {
			err = fmt.Errorf("it is %+v", p)
		}
		return err
	})
	if page := w.fetch(late.ID, nodes[1].Overlay.String()); page != "" {
		t.Errorf("the machine reaches another without UDP: %q", page)
	}
	w.unblock("prerouting")
	w.awaitPath(120*time.Second, late.ID, m.ID, api.PathDirect, "")
	w.eventually(60*time.Second, "nothing is carried any more", func() error {
		if log := w.directorLog(); !strings.Contains(log, "no longer carried") {
			return fmt.Errorf("the director still carries")
		}
		return nil
	})
	w.eventually(60*time.Second, "the service is whole", func() error { return w.exactly(2) })
}
