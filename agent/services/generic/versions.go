package generic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/agent/services/code"
	"conpaas/client/api"
	"conpaas/client/archive"
)

// unpackTime bounds the unpacking of one version.
const unpackTime = 10 * time.Minute

// job unpacks one version while scripts and commands go on.
type job struct {
	version api.CodeBlob
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // once done is closed
}

func (s *Half) begin(h *host.Host, v api.CodeBlob) {
	ctx, cancel := context.WithTimeout(context.Background(), unpackTime)
	j := &job{version: v, cancel: cancel, done: make(chan struct{})}
	s.job = j
	go func() {
		defer close(j.done)
		defer cancel()
		j.err = unpack(ctx, h, v)
	}()
}

func (s *Half) endJob() {
	if s.job != nil {
		s.job.cancel()
		<-s.job.done
		s.job = nil
	}
}

// unpack makes the directory of a version. It is root's, and its scripts can be run whatever the archive says.
func unpack(ctx context.Context, h *host.Host, v api.CodeBlob) error {
	if err := h.State().Remove(codeDir + "/" + v.ID); err != nil {
		return err
	}
	err := code.Extract(ctx, h, codeDir, v, func(dir string) error { return executable(h, dir) })
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = &archive.Error{Problem: fmt.Sprintf("was not unpacked within %s", unpackTime), Remedy: "make it smaller, or give the service faster machines"}
	}
	if err != nil {
		return errors.Join(err, h.State().Remove(code.Staging(codeDir, v.ID)))
	}
	return nil
}

// executable makes the scripts in a directory ones that can be run.
func executable(h *host.Host, dir string) error {
	root, err := h.State().Directory(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range api.GenericScripts() {
		if err := root.Chmod(name+".sh", 0o755); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// has tells whether a version has a script. code-default has none.
func (m *machine) has(id, name string) bool {
	root, err := m.h.State().Directory(codeDir + "/" + id)
	if err != nil {
		return false
	}
	defer root.Close()
	info, err := root.Stat(name + ".sh")
	return err == nil && info.Mode().IsRegular()
}

// versions makes the versions ready, the one to be used first, and uses that. One that is refused is a fact, unless it is to be used.
func (m *machine) versions(ctx context.Context) error {
	all := slices.Clone(m.c.Versions)
	slices.SortStableFunc(all, func(a, b api.CodeBlob) int {
		return cmp.Compare(b2i(b.ID == m.c.Version), b2i(a.ID == m.c.Version))
	})
	if j := m.half.job; j != nil && !slices.Contains(all, j.version) {
		m.half.endJob()
	}
	for _, v := range all {
		if err := m.ready(ctx, v); err != nil {
			return fmt.Errorf("code version %s: %w", v.ID, err)
		}
		if v.ID != m.c.Version {
			continue
		}
		if why := m.rec.Versions[v.ID].Refused; why != "" && m.rec.Current != v.ID {
			return fmt.Errorf("code version %s cannot be used: %s", v.ID, why)
		}
		if err := m.use(v.ID); err != nil {
			return err
		}
	}
	return m.prune(all)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ready unpacks a version and runs its init, in as many calls as it takes: nil once it is ready or refused.
func (m *machine) ready(ctx context.Context, v api.CodeBlob) error {
	now := m.rec.Versions[v.ID]
	if now.SHA256 != v.SHA256 {
		now = version{SHA256: v.SHA256}
	}
	if now.Refused != "" && now.Env != "" && now.Env != m.envDigest() { // what has failed may have been for want of a variable
		now.Refused, now.Env, now.Begun = "", "", false
	}
	if now.Ready || now.Refused != "" {
		return nil
	}
	if !now.Unpacked {
		if err := m.unpacked(v); err != nil {
			bad, ok := errors.AsType[*archive.Error](err)
			if !ok {
				return err
			}
			now.Refused = bad.Error()
			return m.keepVersion(v.ID, now)
		}
		now.Unpacked = true
		if err := m.keepVersion(v.ID, now); err != nil {
			return err
		}
	}
	return m.initialised(ctx, v.ID, now)
}

// unpacked gives nil when a version is unpacked.
func (m *machine) unpacked(v api.CodeBlob) error {
	if v.ID == api.CodeDefault {
		return nil
	}
	s := m.half
	if s.job != nil && s.job.version == v {
		select {
		case <-s.job.done:
			err := s.job.err
			s.job = nil
			return err
		default:
			return &service.Waiting{For: "it is unpacked", Busy: true}
		}
	}
	s.endJob()
	s.begin(m.h, v)
	return &service.Waiting{For: "it is unpacked", Busy: true}
}

// initialised runs the init of a version that is unpacked.
func (m *machine) initialised(ctx context.Context, id string, now version) error {
	last := m.rec.Scripts[api.GenericInit]
	switch {
	case !m.has(id, api.GenericInit):
		now.Ready = true
		return m.keepVersion(id, now)
	case now.Begun && last.Running:
		return &service.Waiting{For: "init.sh runs since " + last.Begun.Format(time.RFC3339), Busy: true}
	case now.Begun:
		if now.Ready = last.Exit == 0; !now.Ready {
			now.Refused, now.Env = last.outcome(api.GenericInit), m.envDigest()
		}
		return m.keepVersion(id, now)
	}
	if busy := m.busy(api.GenericScripts()...); len(busy) > 0 {
		return &service.Waiting{For: fmt.Sprintf("init.sh waits for the end of %s", busy[0]), Busy: true}
	}
	now.Begun = true
	if err := m.start(ctx, api.GenericInit, id, nil, func(r *record) { r.Versions[id] = now }); err != nil {
		return err
	}
	return &service.Waiting{For: "init.sh has begun", Busy: true}
}

func (m *machine) keepVersion(id string, v version) error {
	m.rec.Versions[id] = v
	return m.rec.write(m.h)
}

// use makes a version the one whose scripts are used, once those of the other have ended.
func (m *machine) use(id string) error {
	if m.rec.Current == id {
		return nil
	}
	if busy := m.busy(api.GenericNotify, api.GenericRun, api.GenericInterrupt, api.GenericCleanup); len(busy) > 0 && m.rec.Current != "" {
		return &service.Waiting{For: "it waits for the end of " + busy[0], Busy: true}
	}
	m.rec.Current = id
	return m.rec.write(m.h)
}

// prune removes the versions that nobody wants, but for those whose scripts still run.
func (m *machine) prune(wanted []api.CodeBlob) error {
	needed := func(id string) bool {
		if id == m.rec.Current || m.half.job != nil && m.half.job.version.ID == id {
			return true
		}
		for _, r := range m.rec.Scripts {
			if r.Running && r.Version == id {
				return true
			}
		}
		return slices.ContainsFunc(wanted, func(v api.CodeBlob) bool { return v.ID == id })
	}
	for id := range m.rec.Versions {
		if needed(id) {
			continue
		}
		delete(m.rec.Versions, id)
		if err := m.rec.write(m.h); err != nil {
			return err
		}
	}
	present, err := m.h.State().Directories(codeDir)
	if err != nil {
		return err
	}
	for _, id := range present {
		if _, known := m.rec.Versions[id]; !known && !needed(id) && (m.half.job == nil || codeDir+"/"+id != code.Staging(codeDir, m.half.job.version.ID)) {
			if err := m.h.State().Remove(codeDir + "/" + id); err != nil {
				return err
			}
		}
	}
	return nil
}
