package php

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
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
	Checked  bool      `json:"checked"`          // by PHP
	Broken   string    `json:"broken,omitempty"` // what PHP says
	Dropped  time.Time `json:"dropped,omitzero"` // since when nobody wants it
}

func readRecord(h *host.Host, id string) record {
	var r record
	data, err := h.State().Read(checkDir+"/"+id+".json", 1<<20)
	if err != nil || json.Unmarshal(data, &r) != nil {
		return record{}
	}
	return r
}

func writeRecord(h *host.Host, id string, r record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = h.State().Write(checkDir+"/"+id+".json", data, 0o600)
	return err
}

// prepare unpacks and checks the versions that the roles want. Every role that wants one waits for it; that a version
// is refused is no error, but a fact.
func (s *Half) prepare(ctx context.Context, h *host.Host, p paths, want wanted, fail func(api.Role, error)) {
	all := want.versions()
	if s.job != nil && !slices.Contains(all, s.job.version) {
		s.Close() // nobody waits for it any more
	}
	for _, v := range all {
		users := want.users(v.ID)
		err := s.finish(ctx, h, p, v, users[api.RoleBackend])
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
func (s *Half) unpack(ctx context.Context, h *host.Host, v api.CodeBlob) error {
	if v.ID == api.CodeDefault {
		return unpackDefault(h)
	}
	r := readRecord(h, v.ID)
	if r.SHA256 == v.SHA256 && (r.Unpacked || r.Unsafe != "") {
		if r.Dropped.IsZero() {
			return nil
		}
		r.Dropped = time.Time{}
		return writeRecord(h, v.ID, r)
	}
	if err := forget(h, v.ID); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.unpack)
	defer cancel()
	err := code.Extract(ctx, h, codeDir, v)
	if err != nil && overdue(ctx) {
		err = &archive.Error{Problem: fmt.Sprintf("was not unpacked within %s", s.limits.unpack), Remedy: "make it smaller, or give the service faster machines"}
	}
	var bad *archive.Error
	if errors.As(err, &bad) {
		err = h.State().Remove(staging(v.ID))
		return errors.Join(err, writeRecord(h, v.ID, record{SHA256: v.SHA256, Unsafe: bad.Error()}))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("code version %s: %w", v.ID, err), h.State().Remove(staging(v.ID)))
	}
	return writeRecord(h, v.ID, record{SHA256: v.SHA256, Unpacked: true})
}

func staging(id string) string { return code.Staging(codeDir, id) }

// unpackDefault writes the welcome page that comes with the agent.
func unpackDefault(h *host.Host) error {
	dir := codeDir + "/" + api.CodeDefault
	if err := h.State().Mkdir(dir, 0o755, host.User{}); err != nil {
		return err
	}
	pages, err := fs.ReadDir(files, "welcome")
	if err != nil {
		return err
	}
	for _, page := range pages {
		text, err := files.ReadFile("welcome/" + page.Name())
		if err != nil {
			return err
		}
		if _, err := h.State().Write(dir+"/"+page.Name(), text, 0o644); err != nil {
			return err
		}
	}
	return writeRecord(h, api.CodeDefault, record{Unpacked: true, Checked: true})
}

// forget removes a version, its record first.
func forget(h *host.Host, id string) error {
	return errors.Join(h.State().Remove(checkDir+"/"+id+".json"), h.State().Remove(codeDir+"/"+id))
}

// prune removes versions that nobody has wanted for as long as a request may take.
func (s *Half) prune(h *host.Host, want []api.CodeBlob) error {
	present, err := h.State().Directories(codeDir)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range present {
		if s.at(id) || slices.ContainsFunc(want, func(v api.CodeBlob) bool { return v.ID == id }) {
			continue
		}
		r := readRecord(h, id)
		switch {
		case !r.Unpacked || !r.Dropped.IsZero() && time.Since(r.Dropped) >= s.keep:
			errs = append(errs, forget(h, id))
		case r.Dropped.IsZero():
			r.Dropped = time.Now().UTC()
			errs = append(errs, writeRecord(h, id, r))
		}
	}
	return errors.Join(errs...)
}

// usable gives the versions whose directories may be served, sorted: also those that are no longer wanted, for
// requests that are still under way.
func usable(h *host.Host) ([]string, error) {
	present, err := h.State().Directories(codeDir)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(present, func(id string) bool { return !code.IsVersion(id) || !readRecord(h, id).Unpacked }), nil
}

// judge gives what a role says of the versions that it wants.
func judge(h *host.Host, want []api.CodeBlob, runs bool) (checked map[string]bool, refused map[string]string) {
	checked, refused = map[string]bool{}, map[string]string{}
	for _, v := range want {
		r := readRecord(h, v.ID)
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
