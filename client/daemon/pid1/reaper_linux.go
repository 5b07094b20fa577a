package pid1

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/daemon/proc"
)

// reaper takes the exit status of every child, whoever has started it.
type reaper struct {
	signals chan os.Signal
	running sync.WaitGroup

	mu    sync.Mutex
	ended map[int]string // how children have ended that nobody has asked for yet; bounded
}

// endedMax bounds what is remembered of children that have ended.
const endedMax = 256

func startReaper() *reaper {
	r := &reaper{signals: make(chan os.Signal, 1), ended: map[int]string{}}
	signal.Notify(r.signals, unix.SIGCHLD)
	r.running.Go(func() {
		r.reap() // what has ended before the signal was asked for
		for range r.signals {
			r.reap()
		}
	})
	return r
}

func (r *reaper) stop() {
	signal.Stop(r.signals)
	close(r.signals)
	r.running.Wait()
}

// reap takes all that have ended. Status and note are taken under one lock, so that whoever finds that a child is reaped
// already finds the note as well.
func (r *reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if len(r.ended) >= endedMax {
			clear(r.ended)
		}
		r.ended[pid] = describe(status)
	}
}

func describe(status unix.WaitStatus) string {
	if status.Signaled() {
		return "signal: " + status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// outcome says how a process has ended, whether its handle or the reaper was first.
func (r *reaper) outcome(p *proc.Process) string {
	if text := p.Outcome(); text != "" {
		return text
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended[p.PID()]
}

// endOthers ends all programs of the machine but this one. Only PID 1 may do that.
func endOthers(log *slog.Logger) {
	for _, step := range []struct {
		signal unix.Signal
		grace  time.Duration
	}{{unix.SIGTERM, othersGrace}, {unix.SIGKILL, othersGrace}} {
		limit := time.Now().Add(step.grace)
		_ = unix.Kill(-1, step.signal) // it goes wrong when there is none left, which is looked at next
		for alone := false; !alone && time.Now().Before(limit); {
			alone = errors.Is(unix.Kill(-1, 0), unix.ESRCH)
			if !alone {
				pause()
			}
		}
		if errors.Is(unix.Kill(-1, 0), unix.ESRCH) {
			return
		}
		log.Warn("programs go on after a signal", "signal", step.signal.String())
	}
}

// pause is between two looks at whether all have ended: the kernel tells of children only.
func pause() {
	timer := time.NewTimer(10 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
}
