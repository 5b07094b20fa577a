package command_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"conpaas/client/command"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	programs := map[string]func(){}
	for _, name := range []string{
		"cps", "cps-tools", "cps-application", "cps-service", "cps-user", "cps-cloud", "cps-php", "cps-helloworld", "cps-director", "cps-wine", "cpsclient",
	} {
		programs[name] = func() { os.Exit(command.Main()) }
	}
	testscript.Main(m, programs)
}

type fakeKey struct{}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "fake": steer, "await": await, "mode": mode, "loggedin": loggedin, "expand": expand,
		},
	})
}

// setup gives a script a director of its own: $URL, $FINGERPRINT, the files ca.pem and other-ca.pem, and the
// password in password.txt.
func setup(env *testscript.Env) error {
	f := newFake()
	env.Values[fakeKey{}] = f
	env.Defer(func() {
		f.close()
		if len(f.mistakes) > 0 {
			env.T().Fatal("the client asked for what the contract does not have:\n" + strings.Join(f.mistakes, "\n"))
		}
	})
	port := f.server.URL[strings.LastIndex(f.server.URL, ":")+1:]
	env.Setenv("URL", f.server.URL)
	env.Setenv("HOSTPORT", strings.TrimPrefix(f.server.URL, "https://"))
	env.Setenv("PORT", port)
	env.Setenv("FINGERPRINT", fingerprint(f.server.Certificate().Raw))
	env.Setenv("CONPAAS_HOME", filepath.Join(env.WorkDir, "state"))
	env.Setenv("TZ", "UTC")
	env.Setenv("TERM", "xterm")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // a race detector would hold up the end of every cps by a second
	other, err := otherCA()
	if err != nil {
		return err
	}
	env.Setenv("OTHERPRINT", fingerprint(other))
	for name, data := range map[string][]byte{
		"ca.pem":       f.caPEM(),
		"other-ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other}),
		"password.txt": []byte(fakePassword + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return "SHA256:" + strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// otherCA is a CA that has nothing to do with the director.
func otherCA() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0), IsCA: true, BasicConstraintsValid: true,
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

func of(ts *testscript.TestScript) *fake { return ts.Value(fakeKey{}).(*fake) }

// status runs a program that must end with an exit status: status 3 cps application show nothing.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N program args…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		ended, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Check(err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// steer changes how the director behaves: fake watch-hangs, ! fake watch-hangs.
func steer(ts *testscript.TestScript, neg bool, args []string) {
	for _, mode := range args {
		if mode == "down" {
			of(ts).close()
			continue
		}
		of(ts).set(mode, !neg)
	}
}

// await waits until somebody watches an operation of which no more news will come.
func await(ts *testscript.TestScript, _ bool, _ []string) {
	select {
	case <-of(ts).watched:
	case <-time.After(time.Minute):
		ts.Fatalf("nobody watches the operation")
	}
}

// mode checks the permissions of a file: mode 600 state/token.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.ParseUint(args[0], 8, 32)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := info.Mode().Perm(); got != os.FileMode(want) {
		ts.Fatalf("%s has mode %o, want %o", args[1], got, want)
	}
}

// loggedin logs in, for scripts that are about something else.
func loggedin(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(ts.Exec("cps", "login", ts.Getenv("URL"), "--username", fakeUser, "--password-file", "password.txt", "--ca", "ca.pem"))
}

// expand writes a file with its variables replaced, for its owner alone: expand conf.in state/cps-tools.conf.
func expand(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}
