package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/ini.v1"
)

// largest is the size of a configuration in bytes that is still read.
const largest = 1 << 20

// reader reads one file; it goes on after a mistake, so that one run finds them all.
type reader struct {
	file     string
	options  Options
	sections map[string]*section
	problems []problem
	notes    []string
}

type problem struct {
	line int // 0: of the whole file
	text string
}

type section struct {
	name  string
	line  int
	keys  map[string]*entry // by upper-case name: the original did not tell letters apart
	list  []*entry          // in the order of the file
	named bool              // it is the section of a cloud
}

type entry struct {
	name  string // as written
	line  int
	value string // lines of a long value are joined by line feeds
	used  bool   // somebody has asked for it
}

func (r *reader) fail(line int, format string, args ...any) {
	r.problems = append(r.problems, problem{line, fmt.Sprintf(format, args...)})
}

func (r *reader) error() error {
	slices.SortStableFunc(r.problems, func(a, b problem) int { return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.text, b.text)) })
	var errs []error
	for _, p := range r.problems {
		where := r.file
		switch {
		case where == "":
			where = "configuration"
		case p.line > 0:
			where = fmt.Sprintf("%s:%d", r.file, p.line)
		}
		errs = append(errs, fmt.Errorf("%s: %s", where, p.text))
	}
	return errors.Join(errs...)
}

var (
	sectionLine = regexp.MustCompile(`^\[([^\[\]]+)\]\s*([#;].*)?$`)
	keyLine     = regexp.MustCompile(`^([A-Za-z0-9_-]+)\s*[=:](.*)$`)
	comment     = regexp.MustCompile(`\s;.*$`) // '#' begins no comment behind a value, where passwords may have it
)

// manyLines has the keys whose value may go on in indented lines.
var manyLines = map[string]bool{"VPN_BOOTSTRAP_NODES": true, "OTHER_CLOUDS": true, "CONNECTORS": true}

// parse finds where everything stands, which the INI library does not tell, and refuses what it would read in unexpected ways
// (quotes that span lines, keys given twice, a line that continues the one before by its indentation). The values are the
// library's.
func (r *reader) parse(text []byte) {
	r.sections = map[string]*section{}
	if len(text) > largest {
		r.fail(0, "it has %d bytes, at most %d are read", len(text), largest)
		return
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		r.fail(0, "it is not UTF-8 text")
		return
	}
	var (
		order   []*section
		now     *section
		last    *entry
		cleaned strings.Builder // without comments and empty lines
	)
	for i, raw := range strings.Split(string(text), "\n") {
		number, line := i+1, strings.TrimSpace(comment.ReplaceAllString(" "+raw, ""))
		indented := strings.TrimLeft(raw, " \t\f") != raw
		switch {
		case line == "" || line[0] == '#':
			continue
		case strings.ContainsFunc(line, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x85 || c == 0x2028 || c == 0x2029 }):
			r.fail(number, "it has a control character")
			continue
		case indented && last != nil:
			if !manyLines[strings.ToUpper(last.name)] {
				r.fail(number, "the line is indented and would belong to %s above; remove the space before it", last.name)
				continue
			}
			fmt.Fprintf(&cleaned, " %s\n", line)
			continue
		case line[0] == '[':
			m := sectionLine.FindStringSubmatch(line)
			if m == nil || strings.TrimSpace(m[1]) == "" {
				r.fail(number, "%s: want a section like [iaas]", line)
				continue
			}
			name := strings.TrimSpace(m[1])
			if old := r.sections[name]; old != nil {
				r.fail(number, "section [%s] is in line %d already; join them", name, old.line)
			}
			now, last = &section{name: name, line: number, keys: map[string]*entry{}}, nil
			r.sections[name] = now
			order = append(order, now)
			fmt.Fprintf(&cleaned, "[%s]\n", name)
			continue
		}
		m := keyLine.FindStringSubmatch(line)
		switch {
		case m == nil:
			r.fail(number, "want KEY = value, a [section] or a comment")
			continue
		case now == nil:
			r.fail(number, "%s stands before the first [section]", m[1])
			continue
		}
		value := strings.TrimSpace(m[2])
		if strings.HasPrefix(value, "`") || strings.HasPrefix(value, `"""`) {
			r.fail(number, "%s: a value cannot begin with %s", m[1], value[:1])
			continue
		}
		key := strings.ToUpper(m[1])
		if old := now.keys[key]; old != nil {
			r.fail(number, "%s is in line %d already", m[1], old.line)
			continue
		}
		last = &entry{name: m[1], line: number}
		now.keys[key] = last
		now.list = append(now.list, last)
		fmt.Fprintf(&cleaned, "%s = %s\n", m[1], value)
	}
	if len(r.problems) == 0 {
		r.values(order, cleaned.String())
	}
}

// values takes the values from the INI library and puts them to the places that parse has found.
func (r *reader) values(order []*section, text string) {
	file, err := ini.LoadSources(ini.LoadOptions{
		AllowPythonMultilineValues: true, IgnoreContinuation: true, IgnoreInlineComment: true, PreserveSurroundedQuote: true,
		KeyValueDelimiters: "=", ReaderBufferSize: len(text) + 1,
	}, []byte(text))
	if err != nil {
		r.fail(0, "%v", err)
		return
	}
	for _, s := range order {
		for _, e := range s.list {
			var lines []string
			for line := range strings.Lines(file.Section(s.name).Key(e.name).Value()) {
				if line = strings.TrimSpace(line); line != "" {
					lines = append(lines, line)
				}
			}
			e.value = strings.Join(lines, "\n")
		}
	}
}
