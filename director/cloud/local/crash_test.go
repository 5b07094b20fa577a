package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
	"conpaas/director/cloud/local/cgroup"
	"conpaas/director/cloud/local/mount"
	"conpaas/director/cloud/local/task"
	"conpaas/director/cloud/local/userns"
)

// crashJob names the environment variable that turns the test binary into a director, which kills itself.
const crashJob = "CONPAAS_TEST_CRASH"

// job is what that director does.
type job struct {
	Dir     string
	Options map[string]string
	Kill    int    // at which place, counted from 1; 0: never
	Places  string // file that gets the names of the places that were passed
	Work    string // "life": launch a machine and terminate it; "volume": of a volume; "many": launch three and be killed; "clean"
}

// direct is the main function of that director.
func direct(text string) int {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if j.Work == "user" {
		return j.user(context.Background())
	}
	if j.Work == "leave" {
		report, err := userns.Leave(context.Background())
		fmt.Println(strings.Join(report, "\n"), err)
		return 0
	}
	if j.Work == "limits" {
		return j.limits(context.Background())
	}
	if err := j.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// user tries as an ordinary user what needs root, and prints what it is told.
func (j job) user(ctx context.Context) int {
	p, err := local.Driver().Open(ctx, cloud.Config{Dir: j.Dir, Options: j.Options})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	l := p.(*local.Cloud)
	fmt.Println(l.Check(ctx))
	fmt.Println(l.Start(ctx))
	_, err = l.Clean(ctx)
	fmt.Println(err)
	return 0
}

// limits asks for limits in all ways and prints what it is told.
func (j job) limits(ctx context.Context) int {
	open := func(options map[string]string) (*local.Cloud, error) {
		maps.Copy(options, j.Options)
		p, err := local.Driver().Open(ctx, cloud.Config{Dir: j.Dir, Options: options, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		return p.(*local.Cloud), nil
	}
	for name, value := range map[string]string{"MEMORY_MIB": "512", "CPUS": "1", "PROCESSES": "50", "FIRST_ID": "100000"} {
		_, err := open(map[string]string{name: value})
		fmt.Println(err)
	}
	l, err := open(map[string]string{})
	if err == nil {
		err = l.Start(ctx)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	_, err = l.Launch(ctx, cloud.Spec{Token: "n1-1", UserData: userData(), MemoryMiB: 64})
	fmt.Println(err)
	if _, err := l.Clean(ctx); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// run does the work on the cloud.
func (j job) run(ctx context.Context) error {
	places, err := os.Create(j.Places)
	if err != nil {
		return err
	}
	passed := 0
	c := cloud.Config{
		Name: "default", Deployment: "d1", Dir: j.Dir, Options: j.Options, Log: slog.New(slog.DiscardHandler), Program: program(),
		Failpoint: func(place string) {
			fmt.Fprintln(places, place)
			if passed++; passed == j.Kill {
				_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
				select {} // until it arrives
			}
		},
	}
	p, err := local.Driver().Open(ctx, c)
	if err != nil {
		return err
	}
	l := p.(*local.Cloud)
	if j.Work == "clean" {
		_, err := l.Clean(ctx)
		return err
	}
	if err := l.Start(ctx); err != nil {
		return err
	}
	if j.Work == "volume" {
		return errors.Join(volumeLife(ctx, l), l.Close())
	}
	spec := cloud.Spec{Token: "crash-1", Name: "crash", UserData: userData(), Publish: []uint16{80}}
	id, err := l.Launch(ctx, spec)
	if err != nil || j.Work == "life" {
		return errors.Join(err, l.Terminate(ctx, id), l.Close())
	}
	v, err := l.CreateVolume(ctx, cloud.VolumeSpec{Token: "many", Name: "data", SizeMiB: 16})
	if err != nil {
		return err
	}
	if _, err := l.AttachVolume(ctx, v, id); err != nil {
		return err
	}
	for _, spec.Token = range []string{"crash-2", "crash-3"} {
		if _, err := l.Launch(ctx, spec); err != nil {
			return err
		}
	}
	return unix.Kill(unix.Getpid(), unix.SIGKILL)
}

// crash runs the job in a process of its own and gives the places that it passed.
func (j job) crash(t *testing.T) []string {
	t.Helper()
	j.Places = filepath.Join(t.TempDir(), "places")
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	c := exec.Command(os.Args[0])
	c.Env, c.Stdout, c.Stderr = append(os.Environ(), crashJob+"="+string(text)), said, said
	err = c.Run()
	killed := false
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		killed = exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	}
	if killed != (j.Kill > 0 || j.Work == "many") || !killed && err != nil {
		words, _ := os.ReadFile(said.Name())
		t.Fatalf("the director ended with %v: %s", err, words)
	}
	places, err := os.ReadFile(j.Places)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(places))
}

// host looks for everything that a cloud may leave on the host.
type host struct {
	dir, name string
	groups    cgroup.Hierarchies
}

func newHost(t *testing.T, dir string) host {
	t.Helper()
	groups, err := cgroup.Find()
	if err != nil {
		t.Fatal(err)
	}
	return host{dir: dir, name: local.HostName(dir), groups: groups}
}

// traces gives the mounts, control groups, files and processes of the cloud.
func (h host) traces(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, dir := range []string{h.dir, "/run/" + h.name} {
		points, err := mount.Under(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			found = append(found, "mount "+p)
		}
	}
	for _, dir := range append([]string{"/run"}, h.groups...) {
		err := filepath.WalkDir(filepath.Join(dir, h.name), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err == nil && d.IsDir() {
				found = append(found, "directory "+path)
				if dir == "/run" && path != filepath.Join(dir, h.name) {
					return filepath.SkipDir
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	pids, err := h.groups.Processes("/" + h.name)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		found = append(found, fmt.Sprint("process ", pid))
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range commands {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), h.dir) {
			found = append(found, "process "+file)
		}
	}
	for _, file := range h.loops(t) {
		found = append(found, "loop device of "+file)
	}
	entries, err := os.ReadDir(h.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, "file "+e.Name())
	}
	return found
}

// forwarders gives the processes that forward published ports of the cloud.
func (h host) forwarders(t *testing.T) []int {
	t.Helper()
	var found []int
	for _, trace := range h.traces(t) {
		var pid int
		if n, _ := fmt.Sscanf(trace, "process /proc/%d/cmdline", &pid); n == 0 {
			continue
		}
		if text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && strings.Contains(string(text), "\x00forward\x00") {
			found = append(found, pid)
		}
	}
	return found
}

// first gives the first process of each of a cloud's machines.
func (h host) first(t *testing.T) map[cloud.MachineID]task.Task {
	t.Helper()
	lives, err := filepath.Glob(filepath.Join(h.dir, "machines", "*", "life.json"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[cloud.MachineID]task.Task{}
	for _, path := range lives {
		var life struct{ Task task.Task }
		text, err := os.ReadFile(path)
		if err := errors.Join(err, json.Unmarshal(text, &life)); err != nil {
			t.Fatal(err)
		}
		found[cloud.MachineID(filepath.Base(filepath.Dir(path)))] = life.Task
	}
	return found
}

// TestCrash kills the director at every place in turn, beside a machine that runs. A new director finds that machine as it
// was, and of the machine in the making either nothing or the whole; its token gives exactly one machine, and then
// nothing is left that does not belong to one of the two.
func TestCrash(t *testing.T) {
	for _, kind := range []string{local.RuntimeContainer, local.RuntimeVM, local.RuntimeProcess} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := configuration(t, map[string]string{"RUNTIME": kind})
			l := start(t, c)
			other := launch(t, l, "other-1")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			process := newHost(t, c.Dir).first(t)[other.ID]
			places := job{Dir: c.Dir, Options: c.Options, Work: "life"}.crash(t)
			if len(places) < 10 || len(slices.Compact(slices.Sorted(slices.Values(places)))) != len(places) {
				t.Fatalf("the places are %q", places)
			}
			for i, place := range places {
				t.Run(place, func(t *testing.T) {
					job{Dir: c.Dir, Options: c.Options, Work: "life", Kill: i + 1}.crash(t)
					l := open(t, c) // what is on the host stays for the next place
					defer func() { _ = l.Close() }()
					if err := l.Start(t.Context()); err != nil {
						t.Fatal(err)
					}
					checkAfterCrash(t, l, newHost(t, c.Dir), place)
					if m, err := l.Describe(t.Context(), other.ID); err != nil || m != other || newHost(t, c.Dir).first(t)[other.ID] != process || !process.Alive() {
						t.Errorf("the other machine was %+v and is %+v, %v", other, m, err)
					}
				})
			}
		})
	}
}

// checkAfterCrash looks at a cloud that was started after a crash, and leaves it with the other machine only.
func checkAfterCrash(t *testing.T, l *local.Cloud, h host, place string) {
	t.Helper()
	byToken := func() map[string]cloud.Machine {
		t.Helper()
		list, err := l.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]cloud.Machine{}
		for _, m := range list {
			if _, twice := found[m.Token]; twice {
				t.Errorf("two machines of token %s: %+v", m.Token, list)
			}
			found[m.Token] = m
		}
		return found
	}
	before, was := byToken()["crash-1"]
	if was && before.State != cloud.StateRunning {
		t.Errorf("the machine is %+v", before)
	}
	if launched, ending := strings.HasPrefix(place, "launch:done"), strings.HasPrefix(place, "erase:"); launched && !was || ending && was {
		t.Errorf("at %s the machine is there: %t", place, was)
	}
	m := launch(t, l, "crash-1")
	if m.State != cloud.StateRunning || was && m != before {
		t.Errorf("the machine was %+v (%t) and its token gives %+v", before, was, m)
	}
	printed(t, l, m.ID, "booted")
	if all := byToken(); len(all) != 2 {
		t.Errorf("the cloud lists %+v", all)
	}
	for _, trace := range h.traces(t) {
		kind, name, _ := strings.Cut(trace, " ")
		ours := strings.Contains(trace, string(m.ID))
		for _, other := range byToken() {
			ours = ours || strings.Contains(trace, string(other.ID))
		}
		shared := kind == "file" || kind == "process" || strings.HasSuffix(name, h.name) || strings.HasSuffix(name, "/netns") || strings.Contains(name, "/lower/")
		if !ours && !shared {
			t.Errorf("%s is left of the crash", trace)
		}
	}
	if err := l.Terminate(t.Context(), m.ID); err != nil {
		t.Error(err)
	}
	if left := h.forwarders(t); len(left) != 0 {
		t.Errorf("when nothing is published, left are the forwarders %v", left)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "forward")); err == nil {
		t.Error("when nothing is published, the forwarder's files are left")
	}
}
