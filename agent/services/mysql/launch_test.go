package mysql

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conpaas/client/api"
)

const history = "11111111-1111-1111-1111-111111111111"

// The token is taken once, and counts for the position that it names.
func TestToken(t *testing.T) {
	for _, c := range []struct {
		token string
		at    position
		begin bool
	}{
		{history + ":5", history + ":5", true},
		{api.MySQLNoData, api.MySQLNoData, true},
		{history + ":5\n", history + ":5", true},
		{history + ":5", history + ":6", false},
		{history + ":5", api.MySQLNoData, false},
		{"", history + ":5", false},
		{"", "", true},
	} {
		l := Launch{Run: t.TempDir()}
		if err := os.WriteFile(filepath.Join(l.Run, tokenFile), []byte(c.token), 0o600); err != nil {
			t.Fatal(err)
		}
		if begin, err := l.takeToken(c.at); err != nil || begin != c.begin {
			t.Errorf("token %q at %q: %t, %v", c.token, c.at, begin, err)
		}
		if begin, err := l.takeToken(c.at); err != nil || begin {
			t.Errorf("token %q is there again: %v", c.token, err)
		}
	}
}

func TestReadPosition(t *testing.T) {
	state := func(uuid, seqno string) string {
		return "# GALERA saved state\nversion: 2.1\nuuid:    " + uuid + "\nseqno:   " + seqno + "\nsafe_to_bootstrap: 0\n"
	}
	for text, want := range map[string]struct {
		p          position
		conclusive bool
		refused    bool
	}{
		"":                                      {p: api.MySQLNoData, conclusive: true}, // no file
		state(history, "12"):                    {p: history + ":12", conclusive: true},
		state(history, "-1"):                    {p: history + ":-1"},
		state(noHistory, "-1"):                  {p: api.MySQLNoData, conclusive: true},
		state("rm -rf /", "12"):                 {refused: true},
		state(history, "12; x"):                 {refused: true},
		state(history, strings.Repeat("9", 30)): {refused: true},
		"nonsense":                              {refused: true},
	} {
		dir := t.TempDir()
		if text != "" {
			if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p, conclusive, err := readPosition(dir)
		if want.refused != (err != nil) || err == nil && (p != want.p || conclusive != want.conclusive) {
			t.Errorf("%q: %s %t, %v", text, p, conclusive, err)
		}
		if err := allowBootstrap(dir); err != nil {
			t.Error(err)
		}
		if now, _ := os.ReadFile(filepath.Join(dir, stateFile)); strings.Contains(string(now), "safe_to_bootstrap: 0") {
			t.Errorf("it may not begin: %s", now)
		}
	}
}

// Data of which only a part has come counts as none; a state that was not written wholly is no word.
func TestPositionOfAPart(t *testing.T) {
	for _, mark := range transferMarks {
		dir := t.TempDir()
		for name, text := range map[string]string{mark: "", stateFile: "uuid: " + history + "\nseqno: 5\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if p, conclusive, err := readPosition(dir); err != nil || p != api.MySQLNoData || !conclusive {
			t.Errorf("with %s: %s %t, %v", mark, p, conclusive, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, stateFile), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, conclusive, err := readPosition(dir); err != nil || p != "" || conclusive {
		t.Errorf("an empty state: %s %t, %v", p, conclusive, err)
	}
}

func TestNoteOfALaunch(t *testing.T) {
	l := launched{4711, true, history + ":5", "10.0.0.1,10.0.0.2"}
	if got, ok := parseLaunched([]byte(l.text())); !ok || got != l {
		t.Errorf("%+v, %t", got, ok)
	}
	for _, bad := range []string{"", "1 true", "1 true " + history + ":5", "x true " + history + ":5 -", "1 maybe " + history + ":5 -", "1 true x -", "-1 true " + history + ":5 -"} {
		if got, ok := parseLaunched([]byte(bad)); ok {
			t.Errorf("%q is %+v", bad, got)
		}
	}
}
