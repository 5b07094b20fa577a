package managertest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"conpaas/client/api"
)

// archive is a blob of some size that does not compress.
func archive(seed byte, size int) []byte {
	data := make([]byte, size)
	x := uint32(seed) + 1
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	return data
}

// hosting is a php service on one machine that is to have these versions of its code, the last one wanted.
func hosting(revision uint64, node api.NodeInfo, archives ...[]byte) api.ManagerSpec {
	code := &api.CodeSpec{}
	for i, data := range archives {
		id := "code-" + string(rune('a'+i)) + "00000"
		code.Versions = append(code.Versions, api.CodeBlob{ID: id, SHA256: Digest(data), Format: "tar"})
		if code.Serving == "" {
			code.Serving = id
		}
		code.Wanted = id
	}
	return api.ManagerSpec{
		Application: api.ApplicationSpec{
			ID: Application, Name: "a", Revision: revision, Network: Network(),
			Services: []api.ServiceSpec{{ID: 1, Type: api.PHP, Name: "php", Nodes: map[api.Role]int{api.RoleProxy: 1}, Code: code}},
		},
		Nodes: []api.NodeInfo{node},
	}
}

// hosted starts a manager with one agent of a php service.
func hosted(t *testing.T) (*Director, *Manager, *Agent) {
	t.Helper()
	d := NewDirector(t)
	m := d.StartManager("n1000", Application, Timing())
	a := d.NewAgent("n1", Application, 1, 1)
	a.Info.Role = api.RoleProxy
	return d, m, a
}

func (m *Manager) blobFiles(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(m.blobDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (m *Manager) blobDir() string { return filepath.Join(m.Root, "var/lib/conpaas/state/blobs") }

func TestBlobsReachTheAgents(t *testing.T) {
	d, m, a := hosted(t)
	one, two := archive(1, 3<<20), archive(2, 1000)
	m.Put(hosting(1, a.Info, one, two))
	a.Connect(m)
	m.Watch()
	want := []string{Digest(one), Digest(two)}
	slices.Sort(want)
	m.AwaitKnown("the manager says what it lacks", func(k Known) bool { return slices.Equal(k.Lacks, want) })

	a.Cut(1 << 20) // the agent's first try breaks off
	for _, data := range [][]byte{one, two} {
		if err := m.PutBlob(t.Context(), m.Epoch(), Digest(data), int64(len(data)), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	}
	d.Await("the agent has both", func() bool {
		return bytes.Equal(a.Blob(Digest(one)), one) && bytes.Equal(a.Blob(Digest(two)), two)
	})

	// What no spec names any more goes; what still is named does not come again.
	m.Put(hosting(2, a.Info, two))
	if files := m.blobFiles(t); !slices.Equal(files, []string{Digest(two)}) {
		t.Errorf("the manager keeps %v, want only %s", files, Digest(two))
	}
	err := m.PutBlob(t.Context(), m.Epoch(), Digest(one), int64(len(one)), bytes.NewReader(one))
	if api.CodeFrom(err) != api.CodeNotFound {
		t.Errorf("a blob that no spec names gets %v, want %s", err, api.CodeNotFound)
	}
	never := readerAt(func([]byte, int64) (int, error) { return 0, errors.New("it is read again") })
	if err := m.PutBlob(t.Context(), m.Epoch(), Digest(two), int64(len(two)), never); err != nil {
		t.Errorf("a blob that is there: %v", err)
	}
}

type readerAt func([]byte, int64) (int, error)

func (r readerAt) ReadAt(p []byte, at int64) (int, error) { return r(p, at) }

// A blob whose sending breaks off, also since the manager is killed, goes on where it was.
func TestBlobGoesOn(t *testing.T) {
	_, m, a := hosted(t)
	data := archive(3, 8<<20)
	m.Put(hosting(1, a.Info, data))
	broken := readerAt(func(p []byte, at int64) (int, error) {
		if at >= 4<<20 {
			return 0, io.ErrUnexpectedEOF
		}
		return bytes.NewReader(data).ReadAt(p, at)
	})
	if err := m.PutBlob(t.Context(), m.Epoch(), Digest(data), int64(len(data)), broken); err == nil {
		t.Fatal("a broken reader goes well")
	}
	m.Stop()
	m.Start()
	m.Watch()
	m.AwaitKnown("it still lacks the blob", func(k Known) bool { return slices.Equal(k.Lacks, []string{Digest(data)}) })
	have, err := m.FindBlob(t.Context(), m.Epoch(), Digest(data))
	if err != nil || have.Complete || have.Length < 1<<20 || have.Length > 4<<20 {
		t.Errorf("after the restart there is %+v, %v; want what has come", have, err)
	}
	from := int64(len(data))
	counted := readerAt(func(p []byte, at int64) (int, error) {
		from = min(from, at)
		return bytes.NewReader(data).ReadAt(p, at)
	})
	if err := m.PutBlob(t.Context(), m.Epoch(), Digest(data), int64(len(data)), counted); err != nil || from != have.Length {
		t.Errorf("the rest, from byte %d on (want %d): %v", from, have.Length, err)
	}
	if have, err = m.FindBlob(t.Context(), m.Epoch(), Digest(data)); err != nil || !have.Complete || have.Length != int64(len(data)) {
		t.Errorf("in the end there is %+v, %v", have, err)
	}
	m.Stop()
	m.Start()
	a.Connect(m)
	m.Watch()
	m.d.Await("the agent has it from a manager that was told of it before its restart", func() bool { return bytes.Equal(a.Blob(Digest(data)), data) })
}

func TestWrongBlobs(t *testing.T) {
	_, m, a := hosted(t)
	data := archive(4, 5000)
	m.Put(hosting(1, a.Info, data))
	wrong := archive(5, 5000)
	if err := m.PutBlob(t.Context(), m.Epoch(), Digest(data), 5000, bytes.NewReader(wrong)); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("another file under its name gets %v, want %s", err, api.CodeInvalid)
	}
	if files := m.blobFiles(t); len(files) > 0 {
		t.Errorf("%v is left of it", files)
	}
	for _, name := range []string{"..%2fspec.json", "x", Digest(wrong)} {
		if err := m.PutBlob(t.Context(), m.Epoch(), name, 5000, bytes.NewReader(wrong)); api.CodeFrom(err) != api.CodeNotFound {
			t.Errorf("%s gets %v, want %s", name, err, api.CodeNotFound)
		}
	}
	old := m.Epoch()
	old.Revision--
	if err := m.PutBlob(t.Context(), old, Digest(data), 5000, bytes.NewReader(data)); api.CodeFrom(err) != api.CodeStale {
		t.Errorf("a blob of an older epoch gets %v, want %s", err, api.CodeStale)
	}
	if err := m.PutBlob(t.Context(), m.Epoch(), Digest(data), 5<<40, bytes.NewReader(data)); api.CodeFrom(err) != api.CodeTooLarge {
		t.Errorf("a blob of 5 TiB gets %v, want %s", err, api.CodeTooLarge)
	}

	// A file that has become damaged on the manager's disk is found out by the agent, and asked for again.
	if err := m.PutBlob(t.Context(), m.Epoch(), Digest(data), 5000, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.blobDir(), Digest(data)), wrong, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Connect(m)
	m.Watch()
	m.d.Await("the damaged blob is removed", func() bool {
		have, err := m.FindBlob(t.Context(), m.Epoch(), Digest(data))
		return err == nil && !have.Complete
	})
	m.AwaitKnown("it is asked for", func(k Known) bool { return slices.Equal(k.Lacks, []string{Digest(data)}) })
	if err := m.PutBlob(t.Context(), m.Epoch(), Digest(data), 5000, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	m.d.Await("the agent has the right one", func() bool { return bytes.Equal(a.Blob(Digest(data)), data) })
}
