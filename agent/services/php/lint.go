package php

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
	"conpaas/agent/services/hosting"
	"conpaas/client/api"
)

// Bounds of the check of a version by PHP.
const (
	lintTime  = 30 * time.Second // for one file
	lintTells = 5                // broken files that are named
)

// Check implements hosting.Runner: PHP reads every .php file of the version.
func (runner) Check(ctx context.Context, p hosting.Site, v api.CodeBlob, _ api.HostingBackendConfig, say hosting.Say) (broken string, err error) {
	programs, err := findPHP(p.Host)
	if err != nil {
		return "", err
	}
	user, err := p.Host.User(hosting.User)
	if err != nil {
		return "", err
	}
	dir := p.Code() + "/" + v.ID
	names, err := sources(p.Host, dir)
	if err != nil {
		return "", err
	}
	l := linter{h: p.Host, php: programs.cli, user: user, dir: p.Path(dir)}
	var all []string
	width := max(2, runtime.NumCPU())
	for at := 0; at < len(names) && len(all) < lintTells; at += width {
		say("%d of %d files are checked", at, len(names))
		found, err := l.files(ctx, names[at:min(at+width, len(names))])
		if err != nil {
			return "", err
		}
		all = append(all, found...)
	}
	return strings.Join(all, "\n"), nil
}

// sources lists the .php files of a version, sorted. Links are left out: what they point to is checked itself.
func sources(h *host.Host, dir string) ([]string, error) {
	root, err := h.State().Directory(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var names []string
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.EqualFold(path.Ext(name), ".php") {
			names = append(names, name)
		}
		return err
	})
	slices.Sort(names)
	return names, err
}

// linter asks PHP about files, as the user that runs them.
type linter struct {
	h    *host.Host
	php  string
	user host.User
	dir  string
}

// files gives what PHP says of those that are broken, in order.
func (l linter) files(ctx context.Context, names []string) ([]string, error) {
	said, errs := make([]string, len(names)), make([]error, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() { said[i], errs[i] = l.file(ctx, name) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(said, func(text string) bool { return text == "" }), nil
}

func (l linter) file(ctx context.Context, name string) (string, error) {
	one, cancel := context.WithTimeout(ctx, lintTime)
	defer cancel()
	output, exit, err := l.h.Command(one, host.Command{Path: l.php, User: l.user, Args: []string{
		"-n", "-d", "short_open_tag=0", "-d", "display_errors=1", "-d", "html_errors=0", "-d", "log_errors=0", "-d", "memory_limit=256M", "-l", l.dir + "/" + name,
	}})
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case one.Err() != nil:
		return fmt.Sprintf("%s: PHP has not read it within %s", name, lintTime), nil
	case err != nil:
		return "", err
	case exit == 0:
		return "", nil
	}
	text, _, _ := strings.Cut(conf.Words(output), "\nErrors parsing ")
	if text = strings.ReplaceAll(strings.TrimSpace(text), l.dir+"/", ""); text == "" {
		text = fmt.Sprintf("%s: PHP ends with status %d", name, exit)
	}
	return text, nil
}
