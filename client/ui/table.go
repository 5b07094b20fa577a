package ui

import (
	"fmt"
	"slices"
	"strings"
)

// Column is one column of a table.
type Column struct {
	Name     string                   // shown in capitals
	Right    bool                     // numbers are aligned at the right
	Optional bool                     // left out where no row has a value
	Color    func(value string) Color // nil: no colour
}

// Table is a table of texts. A row has one text per column; an empty one is shown as "-".
type Table struct {
	Columns []Column
	Rows    [][]string
}

const (
	gap      = "  "
	narrowed = 6 // a column is not cut below this, nor below its name
)

// Write draws the table, cut to the width of the terminal where s is one.
func (t Table) Write(s Screen) error {
	t = t.needed()
	header := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		header[i] = strings.ToUpper(c.Name)
	}
	rows := [][]string{header}
	for _, row := range t.Rows {
		rows = append(rows, cells(row))
	}
	widths := t.widths(rows, s.Columns())
	for n, row := range rows {
		if _, err := fmt.Fprintln(s, t.line(s, row, widths, n > 0)); err != nil {
			return err
		}
	}
	return nil
}

// needed leaves out the optional columns that are empty.
func (t Table) needed() Table {
	out := Table{Rows: make([][]string, len(t.Rows))}
	for i, c := range t.Columns {
		if c.Optional && !slices.ContainsFunc(t.Rows, func(row []string) bool { return row[i] != "" }) {
			continue
		}
		out.Columns = append(out.Columns, c)
		for n, row := range t.Rows {
			out.Rows[n] = append(out.Rows[n], row[i])
		}
	}
	return out
}

func cells(row []string) []string {
	out := make([]string, len(row))
	for i, value := range row {
		out[i] = Clean(value)
		if out[i] == "" {
			out[i] = "-"
		}
	}
	return out
}

// widths gives each column what its widest text needs and then, while the terminal is too narrow, takes
// from the widest column.
func (t Table) widths(rows [][]string, columns int) []int {
	widths, least := make([]int, len(t.Columns)), make([]int, len(t.Columns))
	total := len(gap) * (len(t.Columns) - 1)
	for i := range t.Columns {
		for _, row := range rows {
			widths[i] = max(widths[i], Width(row[i]))
		}
		least[i] = max(narrowed, Width(rows[0][i]))
		total += widths[i]
	}
	for ; columns > 0 && total > columns; total-- {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

func (t Table) line(s Screen, row []string, widths []int, body bool) string {
	parts := slices.Clone(row)
	for i, c := range t.Columns {
		text := Cut(row[i], widths[i])
		space := strings.Repeat(" ", max(0, widths[i]-Width(text)))
		if body && c.Color != nil {
			text = s.paint(c.Color(row[i]), text)
		}
		switch {
		case c.Right:
			parts[i] = space + text
		case i == len(t.Columns)-1:
			parts[i] = text
		default:
			parts[i] = text + space
		}
	}
	return strings.Join(parts, gap)
}

// Field is one line of Fields.
type Field struct {
	Name  string
	Value string
	Color Color
}

// Fields is what is known of one thing, a line each. Fields without a value are left out.
type Fields []Field

// Write draws the fields with their values below each other.
func (f Fields) Write(s Screen) error {
	longest := 0
	for _, field := range f {
		if field.Value != "" {
			longest = max(longest, Width(Clean(field.Name)))
		}
	}
	for _, field := range f {
		if field.Value == "" {
			continue
		}
		name := pad(Clean(field.Name)+":", longest+1)
		if _, err := fmt.Fprintf(s, "%s%s%s\n", name, gap, s.paint(field.Color, Clean(field.Value))); err != nil {
			return err
		}
	}
	return nil
}
