package userns_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"conpaas/director/cloud/local/userns"
	"conpaas/director/cloud/local/userns/usernstest"
)

// program turns the test binary into a program that enters the namespace of the directory in this variable.
const program = "CONPAAS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(program); dir != "" {
		os.Exit(enter(dir, os.Args[1]))
	}
	os.Exit(m.Run())
}

// enter enters and prints where it is; then it waits for its input to end, or leaves.
func enter(dir, what string) int {
	if err := userns.Enter(context.Background(), dir); err != nil {
		fmt.Println(err)
		return 1
	}
	at, _ := os.Getwd()
	line := []string{fmt.Sprint(os.Getpid()), fmt.Sprint(os.Geteuid()), at, fmt.Sprint(userns.Ordinary())}
	for _, kind := range []string{"net", "user", "mnt"} {
		link, _ := os.Readlink("/proc/self/ns/" + kind)
		line = append(line, link)
	}
	fmt.Println(strings.Join(line, " "))
	if what == "leave" {
		report, err := userns.Leave(context.Background())
		fmt.Println(strings.Join(report, "; "), err)
		return 0
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// run starts the program as a user and gives the words that it prints.
func run(t *testing.T, u usernstest.User, what string) (*exec.Cmd, io.Closer, []string, *bufio.Reader) {
	t.Helper()
	exe := filepath.Join(u.Dir, "program")
	if _, err := os.Stat(exe); err == nil {
		// Another program of the test runs it.
	} else if out, err := exec.Command("/bin/cp", os.Args[0], exe).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := u.Command([]string{program + "=" + filepath.Join(u.Dir, "data")}, exe, what)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = c.Stdout
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	text := bufio.NewReader(out)
	line, err := text.ReadString('\n')
	words := strings.Fields(line)
	if err != nil || len(words) != 7 {
		t.Fatalf("the program says %q, %v", line, err)
	}
	return c, in, words, text
}

// TestEnter: a program enters with its pid, its directory and the host's network; its namespaces outlive it when it is
// killed, the next program finds them, and they are ended only when nobody else is in them.
func TestEnter(t *testing.T) {
	t.Parallel()
	u := usernstest.New(t)
	first, in, was, _ := run(t, u, "wait")
	defer in.Close()
	net, _ := os.Readlink("/proc/self/ns/net")
	user, _ := os.Readlink("/proc/self/ns/user")
	if was[0] != fmt.Sprint(first.Process.Pid) || was[1] != "0" || was[2] != u.Dir || was[3] != "true" || was[4] != net || was[5] == user {
		t.Errorf("the program with pid %d, started in %s, network %s, is at %q", first.Process.Pid, u.Dir, net, was)
	}
	leaver, in2, _, said := run(t, u, "leave")
	defer in2.Close()
	line, err := said.ReadString('\n')
	if err != nil || !strings.Contains(line, "kept the user namespace, which has processes "+was[0]) {
		t.Errorf("with another program inside it was left: %q, %v", line, err)
	}
	if err := leaver.Wait(); err != nil {
		t.Error(err)
	}
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed
	leaver, in3, now, said := run(t, u, "leave")
	defer in3.Close()
	if now[5] != was[5] || now[6] != was[6] {
		t.Errorf("after the first program was killed at %q the next is at %q", was, now)
	}
	if line, err = said.ReadString('\n'); err != nil || strings.Count(line, ";") != 1 || !strings.Contains(line, "which held the user namespace") {
		t.Errorf("left with %q, %v", line, err)
	}
	if err := leaver.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(u.Dir, "data", "namespace")); err == nil {
		t.Error("the holder's file is left")
	}
}

// TestInherited: a variable that a program inherited from outside its namespace makes it no ordinary user's.
func TestInherited(t *testing.T) {
	t.Setenv("CONPAAS_NAMESPACE", `{"user":"user:[1]"}`)
	if _, inside := userns.Inside(); inside || userns.Ordinary() {
		t.Error("root of the host takes itself for an ordinary user")
	}
}
