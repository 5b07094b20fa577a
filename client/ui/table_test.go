package ui

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func text(t *testing.T, write func(Screen) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := write(Screen{Writer: &out}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var people = Table{
	Columns: []Column{{Name: "id", Right: true}, {Name: "name"}, {Name: "state", Color: func(string) Color { return Good }}},
	Rows: [][]string{
		{"1", "shop", "RUNNING"},
		{"22", "日本", ""},
		{"3", "evil\x1b[2J\nname", "ERROR"},
	},
}

func TestTableAlignsByDisplayWidth(t *testing.T) {
	want := `ID  NAME               STATE
 1  shop               RUNNING
22  日本               -
 3  evil\x1b[2J\nname  ERROR
`
	if diff := cmp.Diff(want, text(t, people.Write)); diff != "" {
		t.Error(diff)
	}
}

func TestTableTakesFromTheWidestColumn(t *testing.T) {
	rows := [][]string{{"ID", "NAME", "STATE"}, {"1", strings.Repeat("n", 40), strings.Repeat("s", 10)}}
	table := Table{Columns: people.Columns}
	for columns, want := range map[int][]int{0: {2, 40, 10}, 100: {2, 40, 10}, 46: {2, 30, 10}, 24: {2, 9, 9}, 5: {2, 6, 6}} {
		if diff := cmp.Diff(want, table.widths(rows, columns)); diff != "" {
			t.Errorf("%d columns: %s", columns, diff)
		}
	}
}

func TestTableLeavesOutOptionalColumnsThatAreEmpty(t *testing.T) {
	table := Table{
		Columns: []Column{{Name: "id"}, {Name: "reason", Optional: true}, {Name: "note", Optional: true}},
		Rows:    [][]string{{"1", "", ""}, {"2", "", "late"}},
	}
	if diff := cmp.Diff("ID  NOTE\n1   -\n2   late\n", text(t, table.Write)); diff != "" {
		t.Error(diff)
	}
}

func TestColoursArePaintedOnlyWhereTheyAreWanted(t *testing.T) {
	var out bytes.Buffer
	if err := people.Write(Screen{Writer: &out, Color: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "\x1b[32mRUNNING\x1b[0m") {
		t.Errorf("no colour in %q", out.String())
	}
	if strings.Contains(text(t, people.Write), "\x1b") {
		t.Error("colour where none is wanted")
	}
}

func TestFieldsLeaveOutWhatIsEmpty(t *testing.T) {
	fields := Fields{{Name: "Name", Value: "a\nb"}, {Name: "Reason"}, {Name: "Created", Value: "now"}}
	want := "Name:     a\\nb\nCreated:  now\n"
	if diff := cmp.Diff(want, text(t, fields.Write)); diff != "" {
		t.Error(diff)
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	s := NewScreen(file, func(string) string { return "xterm" })
	if s.Terminal || s.Live || s.Color || s.Columns() != 0 || s.Text() != file {
		t.Errorf("a file is taken for a terminal: %+v", s)
	}
}
