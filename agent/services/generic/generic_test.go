package generic

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"

	"conpaas/client/api"
)

func fifo(t *testing.T, path string) *os.File {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// hear waits for a line of a script.
func hear(t *testing.T, f *os.File) {
	t.Helper()
	if _, err := f.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
}

func TestScripts(t *testing.T) {
	w := newWorld(t)
	w.settle()
	w.saw("")
	w.tell(api.GenericRun)
	if _, f := w.status(); f.Command != 1 || !strings.Contains(f.Refusal, "has no run.sh") {
		t.Errorf("without code: %+v", f)
	}
	w.c.Env = map[string]api.Secret{"GREETING": "good day", "MY_IP": "a lie", "PATH": "/nowhere"}
	w.n.Volumes = []api.VolumeMount{{Name: "disk"}}
	v := w.version("code-aaaaaa", map[string]string{
		"init":    `echo init $(id -u) $MY_IP $MY_ROLE $MASTER_IP $SERVICE $GREETING; touch "$HOME/x" "$HOME/../../../volumes/disk/y"`,
		"notify":  `echo notify $(grep -c ip "$AGENTS_JSON")`,
		"run":     `echo "run $1,$2"; pwd | grep -o code-aaaaaa; exit 3`,
		"cleanup": `echo cleanup; touch here || echo may not`,
	})
	w.give(v)
	w.saw("init 12345 10.0.0.1 master 10.0.0.1 jobs good day notify 1")
	status, f := w.status()
	if status.State != api.RoleReady || f.Version != v.ID || !f.Checked[v.ID] || fmt.Sprint(f.Has) != "[init notify run cleanup]" {
		t.Errorf("%+v %+v", status, f)
	}
	w.tell(api.GenericRun, "a b", "*")
	if s := w.ended(api.GenericRun); s.Exit != 3 || s.Reason != "" || s.Words != "run a b,*\ncode-aaaaaa" {
		t.Errorf("run: %+v", s)
	}
	w.tell(api.GenericCleanup)
	w.ended(api.GenericCleanup)
	if got := w.log(); !strings.Contains(got, "may not") {
		t.Errorf("code can be written: %q", got)
	}
	if err := w.half.Stop(t.Context(), w.h); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(w.h.State().Path(stateDir)); err == nil {
		t.Error("something is left")
	}
}

// Members that change while notify runs are told once more, and once for all of them.
func TestNotify(t *testing.T) {
	w := newWorld(t)
	begun, goOn := w.fifo("begun"), w.fifo("go-on")
	w.c.Env = map[string]api.Secret{"BEGUN": api.Secret(begun.Name()), "GO_ON": api.Secret(goOn.Name())}
	v := w.version("code-aaaaaa", map[string]string{"notify": `echo > $BEGUN; read line < $GO_ON; echo $(grep -c ip "$AGENTS_JSON")`})
	w.c.Versions, w.c.Version = []api.CodeBlob{v}, v.ID
	w.until("notify", func() bool {
		w.apply()
		_, f := w.status()
		return f.Scripts[api.GenericNotify].Running
	})
	hear(t, begun)
	for i := 2; i < 6; i++ {
		w.c.Members = append(w.c.Members, api.GenericMember{ID: api.NodeID(fmt.Sprintf("n%d", i)), IP: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Role: api.RoleNode})
		w.apply()
	}
	if s, _ := w.status(); s.State != api.RoleStarting {
		t.Errorf("%+v", s)
	}
	fmt.Fprintln(goOn)
	fmt.Fprintln(goOn)
	w.settle()
	hear(t, begun)
	w.settle()
	w.saw("1 5")
	w.settle()
	w.open()
	w.settle()
	w.saw("1 5")
}

// A version whose init fails is refused with its words, and what is in use goes on; one that is to be used is a failure, until a variable is
// another one.
func TestInitFails(t *testing.T) {
	w := newWorld(t)
	good := w.version("code-aaaaaa", map[string]string{"run": "echo good"})
	bad := w.version("code-bbbbbb", map[string]string{"init": `echo trying; [ -n "$KEY" ] || { echo no key >&2; exit 4; }`})
	w.give(good)
	w.c.Versions = append(w.c.Versions, bad)
	w.settle()
	status, f := w.status()
	if status.State != api.RoleReady || f.Version != good.ID || !f.Checked[good.ID] || f.Refused[bad.ID] != "init.sh has ended with return code 4; the last lines of its log:\nno key" {
		t.Errorf("%+v %+v", status, f)
	}
	w.give(good)
	w.give(bad)
	if err := w.errs[api.RoleMaster]; err == nil || !strings.Contains(err.Error(), "no key") {
		t.Errorf("%v", err)
	}
	if status, f := w.status(); status.State != api.RoleFailed || f.Version != good.ID {
		t.Errorf("%+v %+v", status, f)
	}
	w.tell(api.GenericRun)
	if _, f := w.status(); f.Command != 1 || f.Refusal != "code version code-bbbbbb cannot be used" {
		t.Errorf("%+v", f)
	}
	w.saw("trying trying no key no key")
	w.c.Env = map[string]api.Secret{"KEY": "x"}
	w.settle()
	if status, f := w.status(); status.State != api.RoleReady || f.Version != bad.ID {
		t.Errorf("%+v %+v", status, f)
	}
	if all, err := w.h.State().Directories(codeDir); err != nil || fmt.Sprint(all) != "[code-bbbbbb]" {
		t.Errorf("%v, %v", all, err)
	}
}

// An unsafe archive is refused, and nothing of it is left.
func TestUnsafeCode(t *testing.T) {
	w := newWorld(t)
	w.settle()
	w.c.Versions = append(w.c.Versions, w.version("code-aaaaaa", map[string]string{"../../evil": "x"}))
	w.settle()
	if _, f := w.status(); !strings.Contains(f.Refused["code-aaaaaa"], "..") {
		t.Errorf("%+v", f)
	}
	if all, err := w.h.State().Directories(codeDir); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestHostileConfigurations(t *testing.T) {
	w := newWorld(t)
	for want, change := range map[string]func(*api.GenericConfig){
		"no id of a code version":  func(c *api.GenericConfig) { c.Versions[0].ID = "code-../../x" },
		"is not among those":       func(c *api.GenericConfig) { c.Version = "code-aaaaaa" },
		"is no member":             func(c *api.GenericConfig) { c.Members[0].ID = "../x" },
		"is not among its members": func(c *api.GenericConfig) { c.Members[0].IP = netip.MustParseAddr("10.0.0.9") },
		"seconds; allowed are":     func(c *api.GenericConfig) { c.Timeout = -1 },
		"no environment variable":  func(c *api.GenericConfig) { c.Env = map[string]api.Secret{"A=B": "x"} },
		"there is no command":      func(c *api.GenericConfig) { c.Command = &api.Command{Number: 1, Name: "../../bin/sh"} },
		"holds a NUL": func(c *api.GenericConfig) {
			c.Command = &api.Command{Number: 1, Name: "run", Parameters: []string{"\x00"}}
		},
		"parameters of": func(c *api.GenericConfig) {
			c.Command = &api.Command{Number: 1, Name: "run", Parameters: make([]string, 65)}
		},
		"environment variables have m": func(c *api.GenericConfig) {
			c.Env = map[string]api.Secret{"A": api.Secret(strings.Repeat("a", maxEnv))}
		},
	} {
		old := w.c
		w.c.Versions, w.c.Members = append([]api.CodeBlob{}, w.c.Versions...), append([]api.GenericMember{}, w.c.Members...)
		change(&w.c)
		if err := w.apply(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if s, _ := w.status(); s.State != api.RoleFailed {
			t.Errorf("%q: %+v", want, s)
		}
		w.c = old
	}
}
