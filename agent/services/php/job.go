package php

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/service"
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
	runs     bool // a backend is to run it, so that PHP has to read it
	cancel   context.CancelFunc
	done     chan struct{}
	progress atomic.Pointer[string]
	err      error // once done is closed
}

// begin starts a job.
func (s *Half) begin(h *host.Host, p paths, v api.CodeBlob, runs bool) {
	ctx, cancel := context.WithCancel(context.Background())
	j := &job{version: v, runs: runs, cancel: cancel, done: make(chan struct{})}
	j.say("it is unpacked")
	s.job = j
	go func() {
		defer close(j.done)
		defer cancel()
		if j.err = s.unpack(ctx, h, v); j.err == nil && runs {
			j.err = s.check(ctx, h, p, v.ID, j.say)
		}
	}()
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
func (s *Half) finish(ctx context.Context, h *host.Host, p paths, v api.CodeBlob, runs bool) error {
	if s.job != nil && (s.job.version != v || runs && !s.job.runs) {
		select {
		case <-s.job.done:
			s.job = nil
		default:
			return &service.Waiting{For: fmt.Sprintf("code version %s comes after what is done for %s", v.ID, s.job.version.ID), Busy: true}
		}
	}
	if s.job == nil {
		if known(h, v, runs) {
			return s.unpack(ctx, h, v) // there is nothing left to do but to note that it is wanted
		}
		s.begin(h, p, v, runs)
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
func known(h *host.Host, v api.CodeBlob, runs bool) bool {
	r := readRecord(h, v.ID)
	return v.ID == api.CodeDefault || r.SHA256 == v.SHA256 && (r.Unsafe != "" || r.Broken != "" || r.Unpacked && (r.Checked || !runs))
}

// at tells whether a job works on a directory below codeDir.
func (s *Half) at(dir string) bool {
	return s.job != nil && (dir == s.job.version.ID || codeDir+"/"+dir == staging(s.job.version.ID))
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
