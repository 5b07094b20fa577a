package hosting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/services/code"
	"conpaas/client/api"
	"conpaas/client/archive"
)

// record is what is known of a version on this machine. It is on disk so that nothing is done twice, and written
// last, so that a directory without one is a half-done one.
type record struct {
	SHA256   string    `json:"sha256,omitempty"`
	Unpacked bool      `json:"unpacked"`
	Unsafe   string    `json:"unsafe,omitempty"` // why it was not unpacked
	Checked  bool      `json:"checked"`          // tried by the type
	Broken   string    `json:"broken,omitempty"` // what came of it
	Dropped  time.Time `json:"dropped,omitzero"` // since when nobody wants it
}

func readRecord(p Site, id string) record {
	var r record
	data, err := p.Host.State().Read(p.checks()+"/"+id+".json", 1<<20)
	if err != nil || json.Unmarshal(data, &r) != nil {
		return record{}
	}
	return r
}

func writeRecord(p Site, id string, r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = p.Host.State().Write(p.checks()+"/"+id+".json", data, 0o600)
	return err
}

// prepare unpacks and checks the versions that the roles want. Every role that wants one waits for it; that a version
// is refused is no error, but a fact.
func (s *Half) prepare(ctx context.Context, p Site, want wanted, fail func(api.Role, error)) {
	all := want.versions()
	if s.job != nil && !slices.Contains(all, s.job.version) {
		s.Close() // nobody waits for it any more
	}
	for _, v := range all {
		users := want.users(v.ID)
		var runs *api.HostingBackendConfig
		if users[api.RoleBackend] {
			runs = want.backend
		}
		err := s.finish(ctx, p, v, runs)
		for role, wants := range users {
			if wants {
				fail(role, err)
			}
		}
	}
}

// users tells which roles want a version.
func (w wanted) users(id string) map[api.Role]bool {
	has := func(all []api.CodeBlob) bool {
		return slices.ContainsFunc(all, func(v api.CodeBlob) bool { return v.ID == id })
	}
	return map[api.Role]bool{api.RoleWeb: w.web != nil && has(w.web.Versions), api.RoleBackend: w.backend != nil && has(w.backend.Versions)}
}

// unpack makes the directory of a version. It is root's, and read-only for the programs in it.
func (s *Half) unpack(ctx context.Context, p Site, v api.CodeBlob, say Say) error {
	if v.ID == api.CodeDefault {
		return s.unpackDefault(p)
	}
	r := readRecord(p, v.ID)
	if r.SHA256 == v.SHA256 && (r.Unpacked || r.Unsafe != "") {
		if r.Dropped.IsZero() {
			return nil
		}
		r.Dropped = time.Time{}
		return writeRecord(p, v.ID, r)
	}
	if err := forget(p, v.ID); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.unpack)
	defer cancel()
	var shape func(dir string) error
	if shaper, ok := s.kind.Runner.(Shaper); ok {
		shape = func(dir string) error { return shaper.Shape(ctx, p, dir, say) }
	}
	err := code.Extract(ctx, p.Host, p.Code(), v, shape)
	if err != nil && overdue(ctx) {
		err = &archive.Error{Problem: fmt.Sprintf("was not unpacked within %s", s.limits.unpack), Remedy: "make it smaller, or give the service faster machines"}
	}
	var bad *archive.Error
	if errors.As(err, &bad) {
		err = p.Host.State().Remove(code.Staging(p.Code(), v.ID))
		return errors.Join(err, writeRecord(p, v.ID, record{SHA256: v.SHA256, Unsafe: bad.Error()}))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("code version %s: %w", v.ID, err), p.Host.State().Remove(code.Staging(p.Code(), v.ID)))
	}
	return writeRecord(p, v.ID, record{SHA256: v.SHA256, Unpacked: true})
}

// unpackDefault writes the welcome page that comes with the agent.
func (s *Half) unpackDefault(p Site) error {
	dir := p.Code() + "/" + api.CodeDefault
	err := fs.WalkDir(s.kind.Welcome, "welcome", func(name string, d fs.DirEntry, err error) error {
		to := dir + strings.TrimPrefix(name, "welcome")
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return p.Host.State().Mkdir(to, 0o755, host.User{})
		}
		text, err := fs.ReadFile(s.kind.Welcome, name)
		if err == nil {
			_, err = p.Host.State().Write(to, text, 0o644)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("write the welcome page: %w", err)
	}
	return writeRecord(p, api.CodeDefault, record{Unpacked: true, Checked: true})
}

// forget removes a version, its record first.
func forget(p Site, id string) error {
	return errors.Join(p.Host.State().Remove(p.checks()+"/"+id+".json"), p.Host.State().Remove(p.Code()+"/"+id))
}

// prune removes versions that nobody has wanted for as long as a request may take.
func (s *Half) prune(p Site, want []api.CodeBlob) error {
	present, err := p.Host.State().Directories(p.Code())
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range present {
		if s.at(p, id) || slices.ContainsFunc(want, func(v api.CodeBlob) bool { return v.ID == id }) {
			continue
		}
		r := readRecord(p, id)
		switch {
		case !r.Unpacked || !r.Dropped.IsZero() && time.Since(r.Dropped) >= s.Keep:
			errs = append(errs, forget(p, id))
		case r.Dropped.IsZero():
			r.Dropped = time.Now().UTC()
			errs = append(errs, writeRecord(p, id, r))
		}
	}
	return errors.Join(errs...)
}

// Usable gives the versions whose directories may be served, sorted: also those that are no longer wanted, for
// requests that are still under way.
func Usable(p Site) ([]string, error) {
	present, err := p.Host.State().Directories(p.Code())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(present, func(id string) bool { return !code.IsVersion(id) || !readRecord(p, id).Unpacked }), nil
}

// Checked tells whether a version may be run here.
func (p Site) Checked(v api.CodeBlob) bool {
	r := readRecord(p, v.ID)
	return r.SHA256 == v.SHA256 && r.Unpacked && r.Checked
}

// judge gives what a role says of the versions that it wants.
func judge(p Site, want []api.CodeBlob, runs bool) (checked map[string]bool, refused map[string]string) {
	checked, refused = map[string]bool{}, map[string]string{}
	for _, v := range want {
		r := readRecord(p, v.ID)
		switch {
		case r.SHA256 != v.SHA256: // not looked at yet
		case r.Unsafe != "":
			refused[v.ID] = r.Unsafe
		case runs && r.Broken != "":
			refused[v.ID] = r.Broken
		case r.Unpacked && (r.Checked || !runs):
			checked[v.ID] = true
		}
	}
	return checked, refused
}
