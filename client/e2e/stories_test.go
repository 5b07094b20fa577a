package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"conpaas/client/api"
)

var keep = flag.Bool("keep", false, "keep the folders of the stories")

// TestMain adds the small programs that stories use beside the real ones.
func TestMain(m *testing.M) {
	testscript.Main(cleanly{m}, map[string]func(){"get": get, "await": await, "page": page, "visit": visit, "totp": totp, "gone": gone, writerName: mysqlWriter, queriesName: mysqlQueries})
}

// cleanly removes the programs that the tests have built, after the last of them.
type cleanly struct{ *testing.M }

// Run runs the tests.
func (c cleanly) Run() int {
	code := c.M.Run()
	if err := os.RemoveAll(builtIn); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

// get URL: prints the page; a status other than 200 is an error.
func get() {
	client := &http.Client{Timeout: 10 * time.Second}
	res, err := client.Get(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer res.Body.Close()
	_, _ = io.Copy(os.Stdout, res.Body)
	if res.StatusCode != http.StatusOK {
		fmt.Fprintln(os.Stderr, res.Status)
		os.Exit(1)
	}
}

// page APP SERVICE: prints the page at the first endpoint of the service.
func page() {
	out, err := exec.Command("cps", "service", "show", os.Args[1], os.Args[2], "-o", "json").Output()
	var service api.Service
	if err == nil {
		err = json.Unmarshal(out, &service)
	}
	if err == nil && (len(service.Endpoints) == 0 || service.Endpoints[0].URL == "") {
		err = errors.New("it has no endpoint")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Args[1] = service.Endpoints[0].URL
	get()
}

// await DURATION TEXT COMMAND…: runs the command until it succeeds and its output holds the text ("" for any).
func await() {
	limit, err := time.ParseDuration(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	deadline := time.Now().Add(limit)
	for {
		out, err := exec.Command(os.Args[3], os.Args[4:]...).CombinedOutput()
		if err == nil && strings.Contains(string(out), os.Args[2]) {
			os.Stdout.Write(out)
			return
		}
		if time.Now().After(deadline) {
			fmt.Fprintf(os.Stderr, "not within %v: %v\n%s", limit, err, out)
			os.Exit(1)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// gone USER: succeeds when there is no such user.
func gone() {
	err := exec.Command("cps", "user", "show", os.Args[1]).Run()
	if ended, ok := errors.AsType[*exec.ExitError](err); !ok || ended.ExitCode() != 3 {
		fmt.Fprintf(os.Stderr, "user %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

type worldKey struct{}

// The stories of a runtime are in testdata/<runtime>: the real programs, told by what people type.
func TestStoryProcess(t *testing.T)   { stories(t, "process") }
func TestStoryContainer(t *testing.T) { stories(t, "container") }

func stories(t *testing.T, runtime string) {
	if _, err := programs(); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", runtime),
		TestWork:            *keep,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			w := newWorld(env.T().(testing.TB), env.WorkDir, runtime)
			env.Values[worldKey{}] = w
			env.Defer(w.close)
			env.Setenv("HOME", w.path("home"))
			env.Setenv("PATH", w.bin+":"+env.Getenv("PATH"))
			env.Setenv("DIRECTOR", w.url())
			env.Setenv("DATA", w.data())
			env.Setenv("LISTEN", fmt.Sprintf("127.0.0.1:%d", w.port))
			examples, err := filepath.Abs(filepath.Join(top, "docs/examples"))
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLES", examples)
			env.Setenv("NO_COLOR", "1")
			env.Setenv("ARCH", goruntime.GOARCH)
			if runtime == "container" {
				env.Setenv("ROOTFS", rootfs(env.T().(testing.TB)))
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"director":   directorCommand,
			"login":      func(ts *testscript.TestScript, _ bool, _ []string) { ts.Value(worldKey{}).(*world).login() },
			"setenvfrom": setenvFrom,
			"destroy":    destroyCommand,
			"again":      againCommand,
		},
	})
}

// director start|stop|kill
func directorCommand(ts *testscript.TestScript, neg bool, args []string) {
	w := ts.Value(worldKey{}).(*world)
	if neg || len(args) != 1 {
		ts.Fatalf("usage: director start|stop|kill")
	}
	switch args[0] {
	case "start":
		w.start()
	case "stop":
		w.stop()
	case "kill":
		w.kill()
	default:
		ts.Fatalf("usage: director start|stop|kill")
	}
}

// destroy NODE: ends its machine as a power failure does.
func destroyCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: destroy NODE")
	}
	ts.Value(worldKey{}).(*world).machine(api.NodeID(args[0])).destroy()
}

// again APPLICATION: deletes the application, makes it once more of its export, at an empty director with the same configuration, and holds
// the export of the second equal to that of the first.
func againCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: again APPLICATION")
	}
	w := ts.Value(worldKey{}).(*world)
	folder := ts.MkAbs("again-" + args[0])
	ts.Check(ts.Exec("cps", "application", "export", args[0], folder))
	ts.Check(ts.Exec("cps", "application", "delete", args[0], "--yes"))
	manifest := filepath.Join(folder, "manifest.json")
	empty := newWorld(w.t, ts.MkAbs("empty"), w.runtime)
	defer empty.close()
	empty.write("director.cfg", strings.ReplaceAll(ts.ReadFile("director.cfg"), w.url(), empty.url()))
	empty.start()
	empty.login()
	empty.cps("application", "apply", manifest)
	if diff := cmp.Diff(ts.ReadFile(manifest), empty.cps("application", "export", args[0])); diff != "" {
		ts.Fatalf("the export of the second application differs from that of the first (-first +second):\n%s", diff)
	}
}

// setenvfrom NAME: sets a variable to what the last command printed.
func setenvFrom(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: setenvfrom NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}
