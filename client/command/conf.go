package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/login"
)

// fileConf is the configuration file of the original tools, in the state folder; systemConf is that of all users.
const (
	fileConf   = "cps-tools.conf"
	systemConf = "/etc/cps-tools/cps-tools.conf"
)

const confSection = "cps-tools"

// readConf reads a configuration file; one that is not there says nothing. A password is refused where others
// could have read it.
func readConf(name string) (access, error) {
	const most = 64 << 10
	file, err := os.Open(name)
	if err != nil {
		return access{}, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return access{}, err
	}
	if len(text) > most {
		return access{}, fmt.Errorf("%s: it has more than %d bytes", name, most)
	}
	a, err := parseConf(string(text))
	if err != nil {
		return access{}, fmt.Errorf("%s: %w", name, err)
	}
	info, err := file.Stat()
	if err != nil {
		return access{}, err
	}
	if mode := info.Mode().Perm(); a.password != "" && mode&0o077 != 0 && runtime.GOOS != "windows" {
		return access{}, failf(exitRefused, "%s has a password and others may use the file (mode %04o); make it yours alone with: chmod 600 %s", name, mode, name)
	}
	return a, nil
}

// parseConf reads the section [cps-tools] of a configuration file. Values are taken as they are; errors do not
// show them.
func parseConf(text string) (access, error) {
	options, err := confOptions(text)
	if err != nil {
		return access{}, err
	}
	a := access{username: options["username"], password: api.Secret(options["password"]), key: options["certificate"]}
	if url := options["director_url"]; url != "" {
		if a.url, err = director.ParseURL(url); err != nil {
			return access{}, fmt.Errorf("director_url: %w", err)
		}
	}
	switch strings.ToLower(options["debug"]) {
	case "true":
		a.debug = true
	case "false", "":
	default:
		return access{}, errors.New("debug: it must be true or false")
	}
	return a, nil
}

func confOptions(text string) (map[string]string, error) {
	options := map[string]string{"director_url": "", "username": "", "password": "", "certificate": "", "debug": ""}
	line, inside, seen := 0, false, map[string]int{}
	for text := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line++
		bad := func(format string, args ...any) (map[string]string, error) {
			return nil, fmt.Errorf("line "+strconv.Itoa(line)+": "+format, args...)
		}
		trimmed := strings.TrimSpace(text)
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
			continue
		case strings.ContainsAny(text[:1], " \t"):
			return bad("it begins with a space; an option has one line")
		case trimmed[0] == '[':
			if trimmed != "["+confSection+"]" {
				return bad("the only section is [%s]", confSection)
			}
			inside = true
			continue
		case !inside:
			return bad("[%s] must stand before the first option", confSection)
		}
		at := strings.IndexAny(trimmed, "=:")
		if at < 0 {
			return bad("it must be NAME = VALUE")
		}
		name := strings.ToLower(strings.TrimSpace(trimmed[:at]))
		if _, ok := options[name]; !ok {
			return bad("there is no option %q; there are director_url, username, password, certificate and debug", name)
		}
		if seen[name] > 0 {
			return bad("%s is in line %d already", name, seen[name])
		}
		seen[name], options[name] = line, strings.TrimSpace(trimmed[at+1:])
	}
	return options, nil
}

// confFiles reads what is configured for all users and for this one, or the file of --conf-file alone.
func (g *Global) confFiles(h login.Home) (access, error) {
	if g.confFile != "" {
		a, err := readConf(g.confFile)
		if err != nil {
			return access{}, fmt.Errorf("--conf-file: %w", err)
		}
		return a, nil
	}
	var all access
	for _, name := range []string{g.system.Conf, h.Path(fileConf)} {
		if name == "" {
			continue
		}
		a, err := readConf(name)
		hidden := name == g.system.Conf && errors.Is(err, fs.ErrPermission) // it is meant for others
		if errors.Is(err, fs.ErrNotExist) || hidden {
			continue
		} else if err != nil {
			return access{}, fmt.Errorf("read the configuration: %w", err)
		}
		all.override(a)
	}
	return all, nil
}
