package agenttest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"conpaas/agent/agenttest"
	"conpaas/client/api"
)

// A manager that was replaced, or a director from before a restore, cannot act any more.
func TestDeposedParentsAreRefused(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	serving(t, p, "n2")
	c := p.Client("n2")
	newer := p.Epoch()
	newer.Fence++
	if err := c.PutSpec(t.Context(), newer, p.Spec(t, "n2", "Hello", port)); err != nil {
		t.Fatal(err)
	}
	old := p.Epoch()
	spec := p.Spec(t, "n2", "Zombie", port)
	for name, err := range map[string]error{
		"spec":  c.PutSpec(t.Context(), old, spec),
		"peers": c.PatchPeers(t.Context(), old, api.PeerDelta{From: 1, To: 2}),
		"logs":  func() error { _, err := c.Logs(t.Context(), old); return err }(),
		"blob":  func() error { _, err := c.FindBlob(t.Context(), old, hex.EncodeToString(make([]byte, 32))); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: a deposed manager was obeyed", name)
		}
		if code := api.CodeFrom(err); name != "blob" && code != api.CodeStale {
			t.Errorf("%s: %v; want %s", name, err, api.CodeStale)
		}
	}
	for _, err := range c.Exec(t.Context(), old, api.ExecRequest{Command: []string{"true"}}) {
		if api.CodeFrom(err) != api.CodeStale {
			t.Errorf("exec: %v; want %s", err, api.CodeStale)
		}
	}
}

func key(n byte) api.OverlayKey {
	raw := make([]byte, 32)
	raw[0] = n
	return api.OverlayKey(base64.StdEncoding.EncodeToString(raw))
}

func peerOf(n byte, node api.NodeID) api.Peer {
	return api.Peer{Node: node, Key: key(n), Address: netip.AddrFrom4([4]byte{172, 16, 1, n}), Endpoint: netip.MustParseAddrPort("10.0.0.1:51820")}
}

func TestPeersComeAsChanges(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	a, _ := serving(t, p, "n2")
	c := p.Client("n2")
	has := func(want ...api.NodeID) func(api.NodeStatus) bool {
		return func(s api.NodeStatus) bool {
			var got []api.NodeID
			for _, o := range s.Overlay {
				if o.Path != api.PathPlanned {
					t.Errorf("peer %s has the path %s; want %s", o.Peer, o.Path, api.PathPlanned)
				}
				got = append(got, o.Peer)
			}
			return slices.Equal(got, want)
		}
	}
	for _, d := range []api.PeerDelta{
		{From: 1, To: 2, Set: []api.Peer{peerOf(1, "n11"), peerOf(2, "n12")}},
		{From: 2, To: 3, Set: []api.Peer{peerOf(3, "n13")}, Remove: []api.NodeID{"n11"}},
	} {
		if err := c.PatchPeers(t.Context(), p.Epoch(), d); err != nil {
			t.Fatal(err)
		}
	}
	p.AwaitStatus(t, "n2", "the peers are n12 and n13", has("n12", "n13"))
	// What came as changes outlives the agent.
	a.Stop(t)
	agenttest.Start(t, p, agenttest.Options{Node: "n2", Root: a.Root})
	p.AwaitStatus(t, "n2", "the peers are n12 and n13 again", has("n12", "n13"))
	c = p.Client("n2")
	gap := api.PeerDelta{From: 7, To: 8, Set: []api.Peer{peerOf(4, "n14")}}
	if err := c.PatchPeers(t.Context(), p.Epoch(), gap); api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("a change with a gap: %v; want %s", err, api.CodeConflict)
	}
	for name, d := range map[string]api.PeerDelta{
		"path":  {From: 3, To: 4, Set: []api.Peer{{Node: "../x", Key: key(9), Address: netip.MustParseAddr("172.16.1.9")}}},
		"taken": {From: 3, To: 4, Set: []api.Peer{peerOf(2, "n99")}},
		"self":  {From: 3, To: 4, Set: []api.Peer{peerOf(9, "n2")}},
	} {
		if err := c.PatchPeers(t.Context(), p.Epoch(), d); api.CodeFrom(err) != api.CodeInvalid {
			t.Errorf("%s: %v; want %s", name, err, api.CodeInvalid)
		}
	}
	// A spec without peers keeps those that are there, if its version is theirs.
	spec := p.Spec(t, "n2", "Hello again", port)
	spec.Revision, spec.Overlay.Full, spec.Overlay.Version = 5, false, 2
	if err := c.PutSpec(t.Context(), p.Epoch(), spec); api.CodeFrom(err) != api.CodeConflict {
		t.Errorf("a spec of another version: %v; want %s", err, api.CodeConflict)
	}
	spec.Overlay.Version = 3
	if err := c.PutSpec(t.Context(), p.Epoch(), spec); err != nil {
		t.Fatal(err)
	}
	if s := p.AwaitReady(t, "n2", 5); !has("n12", "n13")(s) {
		t.Errorf("the peers are %+v", s.Overlay)
	}
}

func TestBlobs(t *testing.T) {
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	agenttest.Start(t, p, agenttest.Options{Node: "n2"})
	p.AwaitConnected(t, "n2")
	c := p.Client("n2")
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	spec := p.Spec(t, "n2", "Hello", port)
	spec.Blobs = []string{digest}
	if err := c.PutSpec(t.Context(), p.Epoch(), spec); err != nil {
		t.Fatal(err)
	}
	// The role needs none, so it serves; the spec is not applied before the blob is there, and the status says so.
	p.AwaitStatus(t, "n2", "the blob is missing and the role is ready", func(s api.NodeStatus) bool {
		return slices.Equal(s.Lacks, []string{digest}) && strings.Contains(s.Error, "1 of 1 blobs") && strings.Contains(s.Error, digest[:12]) &&
			s.Applied == 0 && len(s.Roles) == 1 && s.Roles[0].State == api.RoleReady
	})
	page(t, p, "n2")
	size := int64(len(data))
	other := hex.EncodeToString(make([]byte, 32))
	for name, put := range map[string]struct {
		err  error
		want api.Code
	}{
		"not in the spec": {c.PutBlob(t.Context(), p.Epoch(), other, size, bytes.NewReader(data)), api.CodeNotFound},
		"path":            {c.PutBlob(t.Context(), p.Epoch(), "..%2f..%2fspec.json", size, bytes.NewReader(data)), api.CodeNotFound},
		"other content":   {c.PutBlob(t.Context(), p.Epoch(), digest, size, bytes.NewReader(make([]byte, size))), api.CodeInvalid},
		"too large":       {c.PutBlob(t.Context(), p.Epoch(), digest, 1<<40, bytes.NewReader(nil)), api.CodeTooLarge},
	} {
		if api.CodeFrom(put.err) != put.want {
			t.Errorf("%s: %v; want %s", name, put.err, put.want)
		}
	}
	// A first try that breaks off in the middle: what has come is kept, and the rest is enough.
	if err := c.PutBlob(t.Context(), p.Epoch(), digest, size, bytes.NewReader(data[:size/2])); err == nil {
		t.Error("half a blob was taken for a whole one")
	}
	half, err := c.FindBlob(t.Context(), p.Epoch(), digest)
	if err != nil || half.Complete || half.Length == 0 || half.Length > size/2 {
		t.Errorf("after half of it: %+v, %v", half, err)
	}
	rest := &counting{Reader: bytes.NewReader(data)}
	if err := c.PutBlob(t.Context(), p.Epoch(), digest, size, rest); err != nil {
		t.Fatal(err)
	}
	if rest.count != size-half.Length {
		t.Errorf("%d bytes were sent; want the %d that were missing", rest.count, size-half.Length)
	}
	if s := p.AwaitReady(t, "n2", 1); len(s.Lacks) != 0 {
		t.Errorf("it lacks %v", s.Lacks)
	}
	// A blob that the spec no longer names goes.
	spec.Blobs, spec.Revision = nil, 2
	if err := c.PutSpec(t.Context(), p.Epoch(), spec); err != nil {
		t.Fatal(err)
	}
	p.AwaitReady(t, "n2", 2)
	if blob, err := c.FindBlob(t.Context(), p.Epoch(), digest); err != nil || blob.Length != 0 {
		t.Errorf("the blob is still there: %+v, %v", blob, err)
	}
}

// counting counts the bytes that are read.
type counting struct {
	*bytes.Reader
	count int64
}

func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.Reader.ReadAt(p, at)
	c.count += int64(n)
	return n, err
}
