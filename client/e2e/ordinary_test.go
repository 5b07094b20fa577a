package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/director/cloud/local/userns/usernstest"
)

// An ordinary user makes the image and runs the main job. The machines and their network outlive a director that is
// killed, a new one finds them; without the holder of their namespaces they boot again; in the end nothing of it is left
// on the host.
func TestOrdinaryUser(t *testing.T) {
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	user := usernstest.New(t)
	w := &world{t: t, bin: bin, dir: user.Dir, runtime: "container", port: freePort(t), user: &user}
	var said bytes.Buffer
	build := w.command("cpsimage", "build", "--services", "helloworld")
	build.Stderr = &said
	image, err := build.Output()
	if err != nil || !strings.HasPrefix(string(image), w.path("home/.cache/cpsimage/")) {
		t.Fatalf("the user's image is %q, %v\n%s", image, err, said.String())
	}
	w.options = []string{"ROOTFS = " + strings.TrimSpace(string(image))}
	w.configure()
	t.Cleanup(w.close)
	w.start()
	w.login()
	w.cps("cloud", "check", "default")
	if shown := w.cps("cloud", "show", "default"); !strings.Contains(shown, "weaker than root's") {
		t.Errorf("the cloud does not say that machines are less isolated:\n%s", shown)
	}
	w.cps("application", "create", "shop")
	w.cps("service", "add", "helloworld", "shop")
	w.cps("service", "start", "shop", "helloworld")
	w.cps("service", "add-nodes", "shop", "helloworld", "--node", "1")
	url, nodes, machines := w.endpoints()[0], w.nodes(), w.machines()
	if page := fetch(t, url); !strings.Contains(page, "Hello, world") {
		t.Fatalf("the page is %q", page)
	}

	if log, err := os.ReadFile(w.path("director.log")); err != nil || strings.Contains(string(log), "/download/code") {
		t.Errorf("the machines do not see the director's code, they download it (%v)", err)
	}

	w.kill()
	from, to := w.machine(nodes[2].ID), nodes[1]
	page, err := exec.Command("nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", from.Task.PID), "curl", "-s", "--max-time", "5", "http://"+to.Overlay.String()+":8080/").CombinedOutput()
	if err != nil || !strings.Contains(string(page), string(to.ID)) {
		t.Errorf("without the director one machine gets from another %v: %s", err, page)
	}
	if page := fetch(t, url); !strings.Contains(page, "Hello, world") {
		t.Errorf("without the director the page is %q", page)
	}
	w.start()
	w.eventually(30*time.Second, "everything is as it was", func() error { return w.reached(2) })
	if now := w.machines(); !slices.Equal(now, machines) {
		t.Errorf("the machines were %v and are %v", machines, now)
	}
	if page := fetch(t, url); !strings.Contains(page, "Hello, world") {
		t.Errorf("after the director was killed the page is %q", page)
	}

	// Without the holder the machines have lost their network: they boot again.
	w.kill()
	content, err := os.ReadFile(w.path("data/namespace"))
	if err != nil {
		t.Fatal(err)
	}
	holder, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(holder, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.eventually(time.Minute, "the page is back", func() error {
		if err := w.exactly(2); err != nil {
			return err
		}
		_, err := exec.Command("curl", "-sf", url).Output()
		return err
	})

	w.cps("application", "delete", "shop", "--yes")
	if left := w.machines(); len(left) > 0 {
		t.Errorf("machines are left: %v", left)
	}
	w.stop()
	out, err := w.command("cpsdirector", "cloud", "clean", "--config", w.path("director.cfg"), "--data", w.data()).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "which held the user namespace") {
		t.Errorf("cloud clean: %v\n%s", err, out)
	}
	// The user can be removed only when no process of the user is left, and with it all sockets and namespaces.
	left := slices.DeleteFunc(host(t), func(line string) bool { return !strings.Contains(line, w.dir) })
	for _, pattern := range []string{"data/namespace", "data/clouds/default/*"} {
		files, err := filepath.Glob(w.path(pattern))
		if err != nil {
			t.Fatal(err)
		}
		left = append(left, files...)
	}
	if len(left) > 0 {
		t.Errorf("left over:\n%s", strings.Join(left, "\n"))
	}
}
