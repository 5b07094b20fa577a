package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/ini.v1"

	"conpaas/client/api"
)

// largest is the size of a recipe file in bytes that is still read.
const largest = 1 << 20

// ReadFile gives the choices of a recipe file; relative paths in it are of its directory. All mistakes of the file are in
// the error, which wraps ErrRecipe.
func ReadFile(name string) (Choices, error) {
	f, err := os.Open(name)
	if err != nil {
		return Choices{}, fmt.Errorf("read the recipe: %w", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err != nil {
		return Choices{}, fmt.Errorf("read the recipe: %w", err)
	}
	c, err := Parse(content)
	if err != nil {
		return Choices{}, fmt.Errorf("%w %s:\n%w", ErrRecipe, name, err)
	}
	return c.At(filepath.Dir(name)), nil
}

// Parse reads a recipe. What it leaves out has its default.
func Parse(content []byte) (Choices, error) {
	if len(content) > largest {
		return Choices{}, fmt.Errorf("it has more than %d bytes", largest)
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	if !utf8.Valid(content) || bytes.ContainsFunc(content, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != '\r' }) {
		return Choices{}, errors.New("it is not a text of UTF-8")
	}
	file, err := ini.LoadSources(ini.LoadOptions{
		IgnoreContinuation: true, IgnoreInlineComment: true, PreserveSurroundedQuote: true, KeyValueDelimiters: "=",
		AllowShadows: true, AllowDuplicateShadowValues: true, AllowNonUniqueSections: true, ReaderBufferSize: len(content) + 1,
	}, content)
	if err != nil {
		return Choices{}, err
	}
	c := Default()
	var problems []error
	seen := map[string]bool{}
	for _, s := range file.Sections() {
		problems = append(problems, readSection(&c, s, seen[s.Name()])...)
		seen[s.Name()] = true
	}
	return c, errors.Join(problems...)
}

func readSection(c *Choices, s *ini.Section, again bool) []error {
	var known []string
	for _, row := range sections() {
		known = append(known, row[0])
	}
	switch {
	case s.Name() == ini.DefaultSection && len(s.Keys()) == 0:
		return nil
	case s.Name() == ini.DefaultSection:
		return []error{fmt.Errorf("%s stands before the first section, which should be one of: %s", s.Keys()[0].Name(), list(known))}
	case !slices.Contains(known, s.Name()):
		return []error{fmt.Errorf("unknown section [%s]; the nearest known one is [%s]", s.Name(), api.Nearest(s.Name(), known))}
	case again:
		return []error{fmt.Errorf("section [%s] is there twice: join them", s.Name())}
	}
	var problems []error
	for _, k := range s.Keys() {
		if err := readKey(c, s.Name(), k); err != nil {
			problems = append(problems, fmt.Errorf("[%s] %s: %w", s.Name(), k.Name(), err))
		}
	}
	return problems
}

func readKey(c *Choices, section string, k *ini.Key) error {
	var names []string
	for _, row := range keys() {
		if row.section != section {
			continue
		}
		if row.name == k.Name() {
			if len(k.ValueWithShadows()) > 1 || strings.Contains(k.Value(), "\n") { // no value at all is empty there
				return errors.New("want one line with one value")
			}
			return row.set(c, strings.TrimSpace(k.Value()))
		}
		names = append(names, row.name)
	}
	return fmt.Errorf("unknown key; the nearest known one is %s", api.Nearest(k.Name(), names))
}

// Write writes the choices as a recipe file with a comment above each key.
func (c Choices) Write(w io.Writer) error {
	var out strings.Builder
	out.WriteString("# Recipe of an image of ConPaaS. Build it with: cpsimage build --recipe FILE\n")
	for _, row := range sections() {
		fmt.Fprintf(&out, "\n# %s\n[%s]\n", row[1], row[0])
		for _, k := range keys() {
			if k.section != row[0] {
				continue
			}
			value := k.get(&c)
			mark := ""
			if k.unset && value == "" {
				mark = "# "
			}
			fmt.Fprintf(&out, "# %s\n%s\n", strings.ReplaceAll(k.help, "\n", "\n# "), strings.TrimRight(mark+k.name+" = "+value, " "))
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}
