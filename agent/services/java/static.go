package java

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"conpaas/agent/host"
)

// descriptor is what of a web.xml tells who takes a request (Jakarta Servlet 6.0, 14).
type descriptor struct {
	Servlets []struct {
		Patterns []string `xml:"url-pattern"`
	} `xml:"servlet-mapping"`
	Filters []struct {
		Patterns []string `xml:"url-pattern"`
		Servlets []string `xml:"servlet-name"`
	} `xml:"filter-mapping"`
	Constraints []struct {
		Resources []struct {
			Patterns []string `xml:"url-pattern"`
		} `xml:"web-resource-collection"`
	} `xml:"security-constraint"`
	Types []struct {
		Extension string `xml:"extension"`
	} `xml:"mime-mapping"`
	Pages []struct {
		Patterns []string `xml:"url-pattern"`
	} `xml:"jsp-config>jsp-property-group"`
}

const (
	maxDescriptor = 4 << 20 // bytes of web.xml
	deployment    = "WEB-INF/web.xml"
)

// rules tell of which files the program may take the requests itself.
type rules struct {
	all      bool // of all
	patterns []string
}

// readRules reads those of a program. Where they cannot be told for sure the program gets all requests.
func readRules(ctx context.Context, program *os.Root) (rules, error) {
	f, err := look(ctx, program)
	if err != nil {
		return rules{}, fmt.Errorf("look through the program: %w", err)
	}
	if f.dynamic {
		return rules{all: true}, nil
	}
	if _, err := program.Lstat("META-INF/context.xml"); err == nil { // it may bring valves, which see every request
		return rules{all: true}, nil
	}
	file, err := program.Open(deployment)
	if errors.Is(err, fs.ErrNotExist) {
		return rules{}, nil
	}
	if err != nil {
		return rules{}, fmt.Errorf("read web.xml: %w", err)
	}
	defer file.Close()
	var d descriptor
	if xml.NewDecoder(io.LimitReader(file, maxDescriptor)).Decode(&d) != nil {
		return rules{all: true}, nil // Tomcat may read it nevertheless
	}
	return d.rules(), nil
}

func (d descriptor) rules() rules {
	var r rules
	add := func(patterns []string) { r.patterns = append(r.patterns, patterns...) }
	for _, s := range d.Servlets {
		add(s.Patterns)
	}
	for _, f := range d.Filters {
		add(f.Patterns)
		r.all = r.all || len(f.Servlets) > 0 // it may be that of Tomcat's own servlet of files
	}
	for _, c := range d.Constraints {
		for _, w := range c.Resources {
			add(w.Patterns)
		}
	}
	for _, g := range d.Pages {
		add(g.Patterns)
	}
	for _, t := range d.Types {
		add([]string{"*." + strings.TrimSpace(t.Extension)})
	}
	for i, p := range r.patterns {
		r.patterns[i] = strings.TrimSpace(p)
	}
	return r
}

// takes tells whether the program may take the requests of a file.
func (r rules) takes(name string) bool {
	at := "/" + name
	switch strings.ToLower(path.Ext(name)) {
	case ".jsp", ".jspx", ".jspf", ".tag", ".tagx", ".class", ".jar", ".war":
		return true
	}
	for _, p := range r.patterns {
		if strings.ContainsAny(p, "\n\r") {
			return true
		}
		if dir, below := strings.CutSuffix(p, "/*"); below && (at == dir || strings.HasPrefix(at, dir+"/")) {
			return true
		}
		if ext, ok := strings.CutPrefix(p, "*."); ok && strings.EqualFold(ext, strings.TrimPrefix(path.Ext(name), ".")) {
			return true
		}
		if p == "/" || p == "" || p == at || !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, "*.") {
			return true
		}
	}
	return r.all
}

// linkStatic links the files of a program that nginx may serve into a directory of their own. Both are below the host's state directory.
func linkStatic(ctx context.Context, h *host.Host, program *os.Root, from, to string) error {
	if err := mkdirs(h, to); err != nil {
		return err
	}
	r, err := readRules(ctx, program)
	if err != nil || r.all {
		return err
	}
	made := map[string]bool{".": true}
	return fs.WalkDir(program.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
			return err
		case d.IsDir() && private(name):
			return fs.SkipDir
		case !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") || r.takes(name):
			return nil
		}
		parts := strings.Split(path.Dir(name), "/")
		for i := range parts {
			if dir := path.Join(parts[:i+1]...); !made[dir] {
				if err := mkdirs(h, to+"/"+dir); err != nil {
					return err
				}
				made[dir] = true
			}
		}
		return h.State().Link(from+"/"+name, to+"/"+name)
	})
}

// private tells whether a directory is never served.
func private(name string) bool {
	return slices.ContainsFunc([]string{"WEB-INF", "META-INF"}, func(s string) bool { return strings.EqualFold(s, name) }) ||
		name != "." && strings.HasPrefix(path.Base(name), ".")
}
