package app

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"conpaas/client/api"
	"conpaas/client/archive"
	"conpaas/client/daemon"
	"conpaas/director/blob"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// Bounds of what is kept of one service's code.
const (
	maxVersions    = 100
	maxDescription = 1024
	maxFilename    = 255
)

// codeParams is what an operation that enables a version remembers.
type codeParams struct {
	Version string `json:"version"`
}

// CodeUpload is an archive on its way, and what is said of it.
type CodeUpload struct {
	Filename    string // its last part counts
	Description string
	Enable      bool  // begin to enable it when it has been accepted
	Size        int64 // announced bytes of Body, -1: not known
	Body        io.Reader

	SHA256 string // of the whole archive: what comes of one that breaks off is kept, and it can go on. "": it is not
	Offset int64  // where Body begins in the archive; only with SHA256
}

// UploadCode adds a version to the code of a service, after its archive has been checked. Nothing is left of an archive
// that is refused.
func (d *Director) UploadCode(ctx context.Context, a Actor, ref, service string, in CodeUpload) (out api.CodeVersion, err error) {
	if in.Filename, err = filename(in.Filename); err != nil {
		return out, err
	}
	if len(in.Description) > maxDescription || !utf8.ValidString(in.Description) {
		return out, api.InField("query.description", "want at most %d bytes of text", maxDescription)
	}
	s, err := d.hosting(ctx, a, ref, service, toOperate, true)
	if err != nil {
		return out, err
	}
	done, err := d.blobs.Turn()
	if err != nil {
		return out, err
	}
	defer done()
	u, err := d.receiveCode(ctx, s, in)
	if err != nil {
		return out, err
	}
	defer func() {
		if dropped := u.Drop(); dropped != nil {
			d.log.Warn("an upload is left", "file", u.Name(), daemon.KeyError, dropped)
		}
	}()
	format, err := checkArchive(in.Filename, u)
	if err != nil {
		return out, err
	}
	v := store.CodeVersion{
		Application: s.Application, Service: s.ID, Description: in.Description, Filename: in.Filename, Format: format, Size: u.Size, SHA256: u.SHA256,
	}
	var op store.Operation
	err = d.blobs.Keep(u, func() error {
		return d.store.Update(ctx, "code.added", func(tx *store.Tx) (err error) {
			if v, err = addVersion(tx, v); err != nil || !in.Enable {
				return err
			}
			n, err := d.enableCode(tx, s, v.ID)
			if err != nil {
				return err
			}
			op, err = tx.CreateOperation(n)
			return err
		})
	})
	if err != nil {
		d.pruneBlobs(ctx)
		return out, problem(err)
	}
	d.wakeFor(ctx, s.Application)
	s, err = d.hosting(ctx, a, s.Application.String(), s.ID.String(), toOperate, false)
	out = showCode(s, v)
	out.Operation = op.ID
	return out, err
}

// filename gives the last part of the name that an archive had where it comes from.
func filename(name string) (string, error) {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	if len(name) > maxFilename || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return "", api.InField("query.filename", "want at most %d bytes of printable text", maxFilename)
	}
	return name, nil
}

// checkArchive tells the format of an archive, and refuses one that cannot be unpacked safely.
func checkArchive(name string, u *blob.Upload) (string, error) {
	head := make([]byte, archive.HeadBytes)
	n, err := u.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	format, err := archive.Format(name, head[:n])
	if err != nil {
		return "", api.InField("archive", "%s", err.Error())
	}
	_, err = archive.Check(u, u.Size, format, archive.DefaultLimits())
	if wrong, ok := errors.AsType[*archive.Error](err); ok {
		return "", api.InField("archive", "%s", wrong.Error())
	}
	return format, err
}

// addVersion gives a version an id that its service has not used yet.
func addVersion(tx *store.Tx, v store.CodeVersion) (store.CodeVersion, error) {
	versions, err := tx.ServiceCode(v.Application, v.Service)
	if err != nil {
		return v, err
	}
	if len(versions) >= maxVersions {
		return v, api.Errorf(api.CodeQuota, "the service has %d code versions already; delete those that are not needed", len(versions))
	}
	for {
		v.ID = "code-" + strings.ToLower(rand.Text()[:6])
		added, err := tx.AddCodeVersion(v)
		if !errors.Is(err, store.ErrExists) {
			return added, err
		}
	}
}

// hosting gives a service that hosts code. room tells whether there must be room for one more version.
func (d *Director) hosting(ctx context.Context, a Actor, ref, service string, n need, room bool) (s store.Service, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		if s, err = findHosting(r, a, ref, service, n); err != nil || !room {
			return err
		}
		versions, err := r.ServiceCode(s.Application, s.ID)
		if err == nil && len(versions) >= maxVersions {
			err = api.Errorf(api.CodeQuota, "service %q has %d code versions already; delete those that are not needed", s.Name, len(versions))
		}
		return err
	})
	return s, problem(err)
}

func findHosting(r *store.Read, a Actor, ref, service string, n need) (store.Service, error) {
	s, err := findService(r, a, ref, service, n)
	if err == nil && s.CodeWanted == "" {
		err = api.Errorf(api.CodeUnsupported, "service %q is of type %s, which runs no uploaded code", s.Name, s.Type)
	}
	return s, err
}

func showCode(s store.Service, v store.CodeVersion) api.CodeVersion {
	return api.CodeVersion{
		ID: v.ID, Description: v.Description, Filename: v.Filename, Format: v.Format, Size: v.Size, SHA256: v.SHA256, Created: v.Created,
		Enabled: v.ID == s.CodeServing, Wanted: v.ID == s.CodeWanted && v.ID != s.CodeServing, Reason: v.Reason,
	}
}

// CodeVersions gives the versions of the code of a service, the oldest first.
func (d *Director) CodeVersions(ctx context.Context, a Actor, ref, service string, p Page) (list api.List[api.CodeVersion], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		s, err := findHosting(r, a, ref, service, toView)
		if err != nil {
			return err
		}
		versions, next, err := r.CodePage(s.Application, s.ID, page)
		list.Items, list.Next = make([]api.CodeVersion, len(versions)), cursor(next)
		for i, v := range versions {
			list.Items[i] = showCode(s, v)
		}
		return err
	})
	return list, problem(err)
}

// CodeArchive gives the archive of a version as it was uploaded; the caller closes it.
func (d *Director) CodeArchive(ctx context.Context, a Actor, ref, service, version string) (v api.CodeVersion, body io.ReadCloser, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		s, err := findHosting(r, a, ref, service, toOperate)
		if err != nil {
			return err
		}
		row, err := findVersion(r, s, version)
		v = showCode(s, row)
		return err
	})
	if err != nil {
		return v, nil, problem(err)
	}
	if v.SHA256 == "" {
		return v, nil, api.Errorf(api.CodeConflict, "%s comes with the machines: there is no archive to download", v.ID)
	}
	file, _, err := d.blobs.Open(v.SHA256)
	if errors.Is(err, fs.ErrNotExist) { // deleted meanwhile, or a disk that has lost it
		return v, nil, api.Errorf(api.CodeNotFound, "the archive of %s is not there any more", v.ID)
	}
	if err != nil {
		return v, nil, err
	}
	return v, file, nil
}

// DeleteCode forgets a version that does not serve and is not to serve, with its archive.
func (d *Director) DeleteCode(ctx context.Context, a Actor, ref, service, version string) error {
	err := d.store.Update(ctx, "code.deleted", func(tx *store.Tx) error {
		s, err := findHosting(&tx.Read, a, ref, service, toOperate)
		if err != nil {
			return err
		}
		v, err := findVersion(&tx.Read, s, version)
		switch {
		case err != nil:
			return err
		case v.ID == api.CodeDefault:
			return api.Errorf(api.CodeConflict, "%s belongs to every service of type %s and cannot be deleted", v.ID, s.Type)
		case v.ID == s.CodeServing || v.ID == s.CodeWanted:
			return api.Errorf(api.CodeConflict, "%s is enabled; enable another version first", v.ID)
		}
		return tx.DeleteCodeVersion(s.Application, s.ID, v.ID)
	})
	if err != nil {
		return problem(err)
	}
	d.pruneBlobs(ctx)
	return nil
}

// pruneBlobs removes the archives that no version names any more. What cannot be removed now is removed by the next
// one, at the latest when the director starts.
func (d *Director) pruneBlobs(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if err := d.blobs.Prune(func() (map[string]bool, error) { return d.namedBlobs(ctx) }, false); err != nil {
		d.log.Warn("archives that nobody needs are left", daemon.KeyError, err)
	}
}

func (d *Director) namedBlobs(ctx context.Context) (named map[string]bool, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		named, err = r.Blobs()
		return err
	})
	return named, err
}

// EnableCode begins to give requests another version, which every machine checks first.
func (d *Director) EnableCode(ctx context.Context, a Actor, ref, service string, in api.CodeEnable) (api.Operation, error) {
	return d.operation(ctx, string(api.OpServiceCode), func(tx *store.Tx) (store.NewOperation, error) {
		s, err := findHosting(&tx.Read, a, ref, service, toOperate)
		if err != nil {
			return store.NewOperation{}, err
		}
		if in.Version == "" {
			return store.NewOperation{}, api.InField("version", "name a version; see: cps %s list-codes %s %s", s.Type, ref, service)
		}
		if _, err := findVersion(&tx.Read, s, in.Version); err != nil {
			return store.NewOperation{}, err
		}
		return d.enableCode(tx, s, in.Version)
	})
}

func findVersion(r *store.Read, s store.Service, version string) (store.CodeVersion, error) {
	v, err := r.CodeVersion(s.Application, s.ID, version)
	if notFound(err) {
		err = api.Errorf(api.CodeNotFound, "service %q has no code version %q; see: cps %s list-codes %s %s", s.Name, version, s.Type, s.Application, s.ID)
	}
	return v, err
}

// enableCode wants a version instead of the one that an open operation may want, unless programs of the one in use run.
func (d *Director) enableCode(tx *store.Tx, s store.Service, version string) (none store.NewOperation, err error) {
	if err := d.idle(&tx.Read, s, "another version is enabled"); err != nil {
		return none, err
	}
	open, err := tx.OpenOperations(s.Application)
	if err != nil {
		return none, err
	}
	for _, op := range open {
		if op.Kind != api.OpServiceCode || op.Service != s.ID {
			continue
		}
		_, err := tx.StepOperation(op.ID, life.OperationCancel, &store.Failure{Code: api.CodeConflict, Detail: "another version was enabled meanwhile: " + version})
		if err != nil {
			return none, err
		}
	}
	if _, err := tx.SetCodeWanted(s.Application, s.ID, version); err != nil {
		return none, err
	}
	v, err := tx.Application(s.Application)
	return store.NewOperation{
		Kind: api.OpServiceCode, Application: s.Application, Service: s.ID, Revision: v.Revision, Params: params(codeParams{Version: version}),
	}, err
}

// codeSpec is what the manager is told of the code of a service; nil where its type hosts none.
func codeSpec(s store.Service, versions []store.CodeVersion) *api.CodeSpec {
	if s.CodeWanted == "" {
		return nil
	}
	spec := &api.CodeSpec{Wanted: s.CodeWanted, Serving: s.CodeServing}
	for _, v := range versions {
		if v.Service == s.ID && (v.ID == s.CodeWanted || v.ID == s.CodeServing) {
			spec.Versions = append(spec.Versions, api.CodeBlob{ID: v.ID, SHA256: v.SHA256, Format: v.Format})
		}
	}
	return spec
}
