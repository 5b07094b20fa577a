package wiretest

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// internal is what only programmers should see.
var internal = regexp.MustCompile(`\.go:\d|goroutine \d|runtime error|nil pointer|Go (value|struct)|cannot unmarshal|\b(api|app|store|wire|huma|gorm|json)\.[A-Z]|SQLITE|sqlite|no such (table|column)|SQL logic|UNIQUE constraint|strconv\.`)

// growth beyond which something is kept that belongs to no request.
const (
	heapGrowth    = 64 << 20 // bytes
	spareRoutines = 20       // of connections that are about to end
)

// Level is how much a process has at a moment.
type Level struct {
	goroutines int
	heap       uint64
}

// Measure gives the level of now.
func Measure() Level {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Level{goroutines: runtime.NumGoroutine(), heap: m.HeapAlloc}
}

// Returned waits until the process is back at a level, and fails where it stays above it.
func (l Level) Returned(t *testing.T) {
	t.Helper()
	var now Level
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if now = Measure(); now.goroutines <= l.goroutines+spareRoutines && now.heap <= l.heap+heapGrowth {
			return
		}
		wait := time.NewTimer(50 * time.Millisecond)
		<-wait.C
	}
	var stacks strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&stacks, 1) // into memory
	t.Errorf("there were %s, there are %s\n%.6000s", l, now, stacks.String())
}

// String shows the level.
func (l Level) String() string {
	return fmt.Sprintf("%d goroutines and %d MiB of heap", l.goroutines, l.heap>>20)
}
