package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// said is what a program has written so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// A large archive is uploaded though the director dies on the way: what had come is not sent again, the one who uploads sees how far it
// is, and neither program holds the archive in memory.
func TestUploadSurvivesTheDirector(t *testing.T) {
	const megabytes, most = 200, 150 // MiB of the archive, and of a program's memory
	w := newWorld(t, t.TempDir(), "process")
	t.Cleanup(w.close)
	w.start()
	w.login()
	w.cps("application", "create", "shop")
	w.cps("service", "add", "php", "shop")
	if err := os.Mkdir(w.path("code"), 0o755); err != nil {
		t.Fatal(err)
	}
	large, err := os.Create(w.path("code/large.bin"))
	if err == nil {
		_, err = io.CopyN(large, rand.Reader, megabytes<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	large.Close()
	if out, err := exec.Command("tar", "-cf", w.path("code.tar"), "-C", w.path("code"), ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}

	upload := w.command("cps", "php", "upload-code", "shop", "php", "code.tar")
	var progress said
	upload.Stdout, upload.Stderr = &progress, &progress
	if err := upload.Start(); err != nil {
		t.Fatal(err)
	}
	w.eventually(30*time.Second, "a part is sent", func() error {
		if !strings.Contains(progress.String(), "25 %") {
			return fmt.Errorf("%s", progress.String())
		}
		return nil
	})
	w.kill()
	w.start()
	ended := make(chan error, 1)
	go func() { ended <- upload.Wait() }()
	// Not what wait4 says: that counts the memory of this test, too, from which cps was started.
	peak := 0
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v\n%s", err, progress.String())
			}
			running = false
		case <-time.After(20 * time.Millisecond):
			if kib, err := peakMemory(upload.Process.Pid); err == nil {
				peak = kib
			}
		}
	}
	t.Log(progress.String())
	for _, want := range []string{`trying again until it is back`, `[0-9.]+ MiB are there already`, `75 % of 200`, `the director checks the archive`, `Code version code-\w+ has been uploaded`} {
		if !regexp.MustCompile(want).MatchString(progress.String()) {
			t.Errorf("the one who uploads is not told: %s", want)
		}
	}
	if peak == 0 || peak > most<<10 {
		t.Errorf("cps has used %d KiB of memory", peak)
	}
	if peak, err := peakMemory(w.cmd.Process.Pid); err != nil || peak > most<<10 {
		t.Errorf("the director has used %d KiB of memory, %v", peak, err)
	}
	w.cps("php", "download-code", "shop", "php", "-v", versionOf(t, progress.String()), "-O", "back.tar")
	if out, err := exec.Command("cmp", w.path("code.tar"), w.path("back.tar")).CombinedOutput(); err != nil {
		t.Errorf("what comes back is another archive: %s", out)
	}
}

func versionOf(t *testing.T, text string) string {
	t.Helper()
	id := regexp.MustCompile(`code-[a-z2-7]{6}`).FindString(text)
	if id == "" {
		t.Fatalf("no version in %q", text)
	}
	return id
}

// peakMemory gives the most memory that a process has had, in KiB.
func peakMemory(pid int) (kib int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	_, err = fmt.Sscanf(peak, "%d kB", &kib)
	return kib, err
}
