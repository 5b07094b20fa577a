package build

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readSources reads sources.list and sources.list.d below /etc/apt, in apt's order. What is not there is none.
func readSources(dir string) (Sources, error) {
	files := []string{filepath.Join(dir, "sources.list")}
	parts, err := filepath.Glob(filepath.Join(dir, "sources.list.d", "*"))
	if err != nil {
		return nil, fmt.Errorf("read the host's apt sources: %w", err)
	}
	slices.Sort(parts)
	var out Sources
	for _, file := range append(files, parts...) {
		parse := parseList
		switch filepath.Ext(file) {
		case ".list":
		case ".sources":
			parse = parseStanzas
		default:
			continue
		}
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the host's apt sources: %w", err)
		}
		out = append(out, parse(string(text))...)
	}
	return out, nil
}

// parseList reads the one-line form of sources.list(5). Lines that it does not understand are left to apt, which
// complains about them itself.
func parseList(text string) Sources {
	var out Sources
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb")
		if !ok || rest == strings.TrimLeft(rest, " \t") { // deb-src
			continue
		}
		rest = strings.TrimSpace(rest)
		var s Source
		if strings.HasPrefix(rest, "[") {
			options, after, closed := strings.Cut(rest[1:], "]")
			if !closed {
				continue
			}
			rest = after
			for _, option := range strings.Fields(options) {
				name, value, _ := strings.Cut(option, "=")
				switch strings.ToLower(name) {
				case "signed-by":
					s.SignedBy = value
				case "trusted":
					s.Trusted = value == "yes"
				}
			}
		}
		fields := strings.Fields(rest)
		if len(fields) < 3 {
			continue
		}
		s.URI, s.Suite, s.Components = fields[0], fields[1], fields[2:]
		out = append(out, s)
	}
	return out
}

// parseStanzas reads the deb822 form of sources.list(5).
func parseStanzas(text string) Sources {
	var out Sources
	stanza, last := map[string]string{}, ""
	flush := func() {
		out = append(out, fromStanza(stanza)...)
		stanza, last = map[string]string{}, ""
	}
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == "":
			flush()
		case strings.HasPrefix(line, "#"):
		case line[0] == ' ' || line[0] == '\t':
			if line = strings.TrimSpace(line); line == "." {
				line = ""
			}
			stanza[last] += "\n" + line
		default:
			name, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(strings.TrimSpace(name))
			stanza[last] = strings.TrimSpace(value)
		}
	}
	return out
}

func fromStanza(stanza map[string]string) Sources {
	if !slices.Contains(strings.Fields(stanza["types"]), "deb") || slices.Contains([]string{"no", "false", "0"}, strings.ToLower(stanza["enabled"])) {
		return nil
	}
	var out Sources
	for _, uri := range strings.Fields(stanza["uris"]) {
		for _, suite := range strings.Fields(stanza["suites"]) {
			out = append(out, Source{
				URI: uri, Suite: suite, Components: strings.Fields(stanza["components"]),
				SignedBy: strings.TrimSpace(stanza["signed-by"]), Trusted: strings.EqualFold(stanza["trusted"], "yes"),
			})
		}
	}
	return out
}
