package mysql

import (
	"os"
	"path/filepath"
	"testing"

	"conpaas/client/api"
)

// Room for the next start is kept while the server runs, and given back for the start.
func TestReserve(t *testing.T) {
	m := newLab(t).machine()
	p, err := newPaths(m.host)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(m.root, api.VolumeDir, volumeName, reserveFile)
	if err := giveReserve(path); err != nil {
		t.Errorf("there is none to give: %v", err)
	}
	for range 2 {
		if err := takeReserve(m.host, p); err != nil {
			t.Fatal(err)
		}
		if s, err := os.Stat(path); err != nil || s.Size() != reserveSize || s.Mode().Perm() != 0o600 {
			t.Errorf("the room is %+v, %v", s, err)
		}
		if err := giveReserve(path); err != nil {
			t.Fatal(err)
		}
		if s, err := os.Stat(path); err != nil || s.Size() != 0 {
			t.Errorf("of the room is left: %+v, %v", s, err)
		}
	}
	var facts api.MySQLFacts
	if reason, err := room(m.host, p, &facts); err != nil || reason != "" || facts.Full || facts.Free == 0 {
		t.Errorf("of an empty volume it says %q %v %+v", reason, err, facts)
	}
}
