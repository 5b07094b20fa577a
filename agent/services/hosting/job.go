package hosting

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"conpaas/agent/service"
	"conpaas/agent/services/code"
	"conpaas/client/api"
)

// Bounds of the preparation of one version.
const (
	unpackTime = 10 * time.Minute
	checkTime  = 20 * time.Minute
	sliceTime  = 2 * time.Second // that one Apply waits for it
)

// limits are those of a half: tests have shorter ones.
type limits struct {
	unpack, check, slice time.Duration
}

// job unpacks and checks one version while the roles go on. There is at most one at a time.
type job struct {
	version  api.CodeBlob
	runs     *api.HostingBackendConfig // of the backend that is to run it, so that it has to be tried; nil for none
	cancel   context.CancelFunc
	done     chan struct{}
	progress atomic.Pointer[string]
	err      error // once done is closed
}

// begin starts a job.
func (s *Half) begin(p Site, v api.CodeBlob, runs *api.HostingBackendConfig) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{version: v, runs: runs, cancel: cancel, done: make(chan struct{})}
	j.say("it is unpacked")
	s.job = j
	go func() {
		defer close(j.done)
		defer cancel()
		if j.err = s.unpack(ctx, p, v, j.say); j.err == nil && runs != nil {
			j.err = s.check(ctx, p, j)
		}
	}()
}

// check lets the type try a version. One for which the time is too short is refused.
func (s *Half) check(ctx context.Context, p Site, j *job) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.check)
	defer cancel()
	r := readRecord(p, j.version.ID)
	if !r.Unpacked || r.Checked || r.Broken != "" {
		return nil
	}
	j.say("it is tried")
	broken, err := s.kind.Runner.Check(ctx, p, j.version, *j.runs, j.say)
	if err != nil && overdue(ctx) {
		broken, err = fmt.Sprintf("%s, and no more within %s; make the program smaller, or give the service faster machines", *j.progress.Load(), s.limits.check), nil
	}
	if err != nil {
		return fmt.Errorf("code version %s: %w", j.version.ID, err)
	}
	r.Checked, r.Broken = broken == "", broken
	return writeRecord(p, j.version.ID, r)
}

func (j *job) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	j.progress.Store(&text)
}

// stop ends a job and waits for its end.
func (j *job) stop() {
	j.cancel()
	<-j.done
}

// finish makes a version ready to be used, or refused, in as many calls as it takes: until then it gives a
// *service.Waiting. So does what goes wrong: the roles have what they had, and it is tried again.
func (s *Half) finish(ctx context.Context, p Site, v api.CodeBlob, runs *api.HostingBackendConfig) error {
	if s.job != nil && (s.job.version != v || runs != nil && s.job.runs == nil) {
		select {
		case <-s.job.done:
			s.job = nil
		default:
			return &service.Waiting{For: fmt.Sprintf("code version %s comes after what is done for %s", v.ID, s.job.version.ID), Busy: true}
		}
	}
	if s.job == nil {
		if known(p, v, runs != nil) {
			return s.unpack(ctx, p, v, func(string, ...any) {}) // there is nothing left to do but to note that it is wanted
		}
		s.begin(p, v, runs)
	}
	patience, cancel := context.WithTimeout(ctx, s.limits.slice)
	defer cancel()
	select {
	case <-s.job.done:
		err := s.job.err
		s.job = nil
		if waits, _ := service.Waits(err); err == nil || waits {
			return err
		}
		return &service.Waiting{For: err.Error() + "; it is tried again"}
	case <-patience.Done():
		return &service.Waiting{For: fmt.Sprintf("code version %s: %s", v.ID, *s.job.progress.Load()), Busy: true}
	}
}

// known tells whether a version needs no job: it is ready for those who want it, or refused.
func known(p Site, v api.CodeBlob, runs bool) bool {
	r := readRecord(p, v.ID)
	return v.ID == api.CodeDefault || r.SHA256 == v.SHA256 && (r.Unsafe != "" || r.Broken != "" || r.Unpacked && (r.Checked || !runs))
}

// at tells whether a job works on a directory of versions.
func (s *Half) at(p Site, dir string) bool {
	return s.job != nil && (dir == s.job.version.ID || p.Code()+"/"+dir == code.Staging(p.Code(), s.job.version.ID))
}

// Close implements service.Closer.
func (s *Half) Close() {
	if s.job != nil {
		s.job.stop()
		s.job = nil
	}
}

// overdue tells whether work has taken longer than its limit, and was not merely called off.
func overdue(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }
