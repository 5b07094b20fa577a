package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/certs"
	"conpaas/client/api"
)

// shopWith is shop on the runtime process, with more lines in the section [director].
func shopWith(t *testing.T, count int, lines ...string) *world {
	t.Helper()
	w := newWorld(t, t.TempDir(), "process")
	t.Cleanup(w.close)
	config, err := os.ReadFile(w.path("director.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("director.cfg", string(config)+strings.Join(lines, "\n")+"\n")
	w.start()
	w.login()
	w.cps("application", "create", "shop")
	w.cps("service", "add", "helloworld", "shop")
	w.cps("service", "start", "shop", "helloworld")
	if count > 1 {
		w.cps("service", "add-nodes", "shop", "helloworld", "--node", fmt.Sprint(count-1))
	}
	w.eventually(30*time.Second, "everything is there", func() error { return w.exactly(count) })
	return w
}

// root is the directory of a machine of the runtime process.
func (w *world) root(m machine) string {
	return filepath.Join(w.data(), "clouds/default/machines", m.ID, "root")
}

// certificate is what a machine shows now, and how many CA certificates it trusts.
type certificate struct {
	serial, signer string
	ends           time.Time
	trusts         int
}

func (w *world) certificate(m machine) (certificate, error) {
	var out certificate
	tls := filepath.Join(w.root(m), "var/lib/conpaas/state/tls")
	node, err := os.ReadFile(filepath.Join(tls, "node.pem"))
	if err != nil {
		return out, err
	}
	_, chain, _ := strings.Cut(string(node), "-----END PRIVATE KEY-----\n")
	list, err := certs.ParseCertificates([]byte(chain))
	if err != nil {
		return out, err
	}
	ca, err := os.ReadFile(filepath.Join(tls, "ca.pem"))
	if err != nil {
		return out, err
	}
	roots, err := certs.ParseCertificates(ca)
	return certificate{certs.Serial(list[0]), fmt.Sprintf("%x", list[0].AuthorityKeyId), list[0].NotAfter, len(roots)}, err
}

// certificates gives those of all machines, which must exist.
func (w *world) certificates() map[string]certificate {
	w.t.Helper()
	all := make(map[string]certificate)
	for _, m := range w.machines() {
		c, err := w.certificate(m)
		if err != nil {
			w.t.Fatal(err)
		}
		all[m.ID] = c
	}
	return all
}

// ids gives the machines and nodes that there are.
func (w *world) ids() []string {
	var ids []string
	for _, n := range w.nodes() {
		ids = append(ids, string(n.ID)+" on "+n.Machine)
	}
	return ids
}

// Manager and agents renew several times, and go on with the connections that they have.
func TestCertificatesAreRenewed(t *testing.T) {
	w := shopWith(t, 2, "NODE_CERT_LIFE = 10s")
	before, l := w.ids(), startLoad(t, w.endpoints())
	seen := make(map[string]map[string]bool)
	w.eventually(90*time.Second, "every machine has had four certificates", func() error {
		var short error
		for id, c := range w.certificates() {
			if seen[id] == nil {
				seen[id] = make(map[string]bool)
			}
			seen[id][c.serial] = true
			if left := time.Until(c.ends); left <= 0 {
				t.Fatalf("the certificate of machine %s ended %s ago", id, -left)
			}
			if len(seen[id]) < 4 {
				short = fmt.Errorf("machine %s has had %d", id, len(seen[id]))
			}
		}
		return short
	})
	if connections := strings.Count(w.directorLog(), "the manager is connected"); connections != 1 {
		t.Errorf("the manager has connected %d times", connections)
	}
	for _, m := range w.machines() {
		for _, log := range []string{"manager.log", "agent.log"} {
			text, err := os.ReadFile(filepath.Join(w.root(m), "var/log/conpaas", log))
			if err == nil && strings.Count(string(text), "connected to the ") > 2 { // an agent may have tried before its manager was there
				t.Errorf("machine %s has lost its connection:\n%s", m.ID, text)
			}
		}
	}
	l.stop(t)
	// A new connection is made with the newest certificates.
	for _, m := range w.machines() {
		m.killDaemon()
	}
	w.eventually(60*time.Second, "everything is ready again", func() error { return w.reached(2) })
	if after := w.ids(); !slices.Equal(before, after) {
		t.Errorf("machines %v, before %v", after, before)
	}
}

// expire has the director away until the certificate of every machine has ended.
func (w *world) expire(late time.Duration) {
	w.t.Helper()
	w.stop()
	w.eventually(60*time.Second, "every certificate has ended", func() error {
		for id, c := range w.certificates() {
			if left := time.Until(c.ends.Add(late)); left > 0 {
				return fmt.Errorf("that of machine %s has %s left", id, left)
			}
		}
		return nil
	})
}

// Certificates that end while the director is away are renewed when it is back, and nothing is replaced for it.
func TestExpiredCertificatesAreRenewed(t *testing.T) {
	w := shopWith(t, 2, "NODE_CERT_LIFE = 10s", "NODE_CERT_GRACE = 10m")
	before := w.ids()
	w.expire(0)
	old := w.certificates()
	w.start()
	w.eventually(30*time.Second, "all is ready, with other certificates", func() error {
		for id, c := range w.certificates() {
			if c.serial == old[id].serial || !c.ends.After(time.Now()) {
				return fmt.Errorf("machine %s has not renewed", id)
			}
		}
		if strings.Count(w.directorLog(), "the manager is connected") < 2 {
			return errors.New("the manager is not back")
		}
		return w.exactly(2)
	})
	if after := w.ids(); !slices.Equal(before, after) {
		t.Errorf("machines %v, before %v", after, before)
	}
}

// Past the grace nothing is renewed any more: the machine is replaced as one that is lost.
func TestLongExpiredCertificatesAreRefused(t *testing.T) {
	w := shopWith(t, 1, "NODE_CERT_LIFE = 10s", "NODE_CERT_GRACE = 1s")
	log := filepath.Join(w.root(w.machine(manager(w.nodes()).ID)), "var/log/conpaas/manager.log")
	old := manager(w.nodes())
	w.expire(time.Second)
	w.start()
	w.eventually(30*time.Second, "the manager is told", func() error {
		text, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(text), "too long ago to be renewed") {
			err = errors.New("it is not")
		}
		return err
	})
	if n := manager(w.nodes()); n.ID != old.ID || n.State == api.NodeReady && strings.Count(w.directorLog(), "the manager is connected") > 1 {
		t.Errorf("it was let in: %+v", n)
	}
}

// Machines that are silent for a rotation hold it up, and go on with it when they are back.
func TestCARotationWaitsForSilentMachines(t *testing.T) {
	w := shopWith(t, 2, "NODE_CERT_LIFE = 5m")
	before, signers := w.ids(), w.certificates()
	var silent []int
	for _, m := range w.machines() {
		silent = append(silent, m.processes("cpsagent", " run ")...)
	}
	if len(silent) != 2 {
		t.Fatalf("the agents are %v", silent)
	}
	for _, pid := range silent {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	w.cps("ca", "rotate")
	w.eventually(60*time.Second, "the rotation waits for the two", func() error {
		out, err := w.try("ca", "show", "-o", "json")
		if err == nil && !strings.Contains(out, `"waiting": 2`) {
			err = errors.New(out)
		}
		return err
	})
	if out, err := w.try("ca", "retire", "--yes"); err == nil || !strings.Contains(err.Error(), "introducing") {
		t.Errorf("retired while machines wait: %s, %v", out, err)
	}
	for _, pid := range silent {
		_ = syscall.Kill(pid, syscall.SIGCONT)
	}
	w.eventually(90*time.Second, "every node has renewed", func() error {
		for id, c := range w.certificates() {
			if c.signer == signers[id].signer || c.trusts != 2 {
				return fmt.Errorf("machine %s has %+v", id, c)
			}
		}
		return w.exactly(2)
	})
	if after := w.ids(); !slices.Equal(before, after) {
		t.Errorf("machines %v, before %v", after, before)
	}
}

// The CA is rotated while everything serves, machines come, and the director is killed in between; the command line goes on
// with the CA certificates that it is given.
func TestCARotation(t *testing.T) {
	w := shopWith(t, 2, "NODE_CERT_LIFE = 5m")
	before := w.certificates()
	pinned, err := os.ReadFile(w.path("home/.conpaas/ca_cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	w.cps("ca", "rotate")
	w.cps("service", "add-nodes", "shop", "helloworld", "--node", "1")
	w.kill()
	w.start()
	w.eventually(90*time.Second, "every node has renewed", func() error {
		out, err := w.try("ca", "show", "-o", "json")
		if err == nil && !strings.Contains(out, `"step": "overlap"`) {
			err = errors.New(out)
		}
		return err
	})
	for id, c := range w.certificates() {
		if c.signer == before[id].signer || c.trusts != 2 {
			t.Errorf("machine %s in the overlap: %+v", id, c)
		}
	}
	// Somebody who was away until now.
	if err := os.WriteFile(w.path("home/.conpaas/ca_cert.pem"), pinned, 0o644); err != nil {
		t.Fatal(err)
	}
	w.cps("application", "list")
	l := startLoad(t, w.endpoints())
	w.cps("ca", "retire", "--yes")
	w.cps("application", "list")
	w.eventually(60*time.Second, "every node has dropped the old authority", func() error {
		for id, c := range w.certificates() {
			if c.trusts != 1 {
				return fmt.Errorf("machine %s trusts %d", id, c.trusts)
			}
		}
		return w.exactly(3)
	})
	l.stop(t)
	// Daemons and director come back with what they have now.
	for _, m := range w.machines() {
		m.killDaemon()
	}
	w.kill()
	w.start()
	w.eventually(60*time.Second, "everything is ready again", func() error { return w.reached(3) })
	w.cps("service", "add-nodes", "shop", "helloworld", "--node", "1")
}
