package php

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"conpaas/client/api"
)

// Bounds of environment variables.
const (
	maxEnvName = 256
	maxEnv     = 256 << 10 // bytes of all
)

// ownEnv are those that php-fpm.conf has itself.
var ownEnv = [...]string{"PATH", "TMPDIR"}

// fpmEnv gives the variables as php-fpm.conf takes them, in order. Errors name no value: it may be a secret.
//
// php-fpm reads its file by lines, has no empty values, and takes a value that begins with '$' for the name of a variable
// of its own environment: none of these can be passed on.
func fpmEnv(given map[string]api.Secret) ([]setting, error) {
	var all []setting
	size := 0
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := given[name].Reveal()
		size += len(name) + len(value)
		switch {
		case len(name) > maxEnvName || !identifier.MatchString(name) || slices.Contains(ownEnv[:], name):
			return nil, fmt.Errorf("%.80q is no name of an environment variable that can be set", name)
		case value == "" || value[0] == '$' || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			return nil, fmt.Errorf("environment variable %s: php-fpm can pass on one line of text that is not empty and does not begin with '$'; encode others, by base64 for example", name)
		case size > maxEnv:
			return nil, fmt.Errorf("the environment variables have more than %d bytes", maxEnv)
		}
		all = append(all, setting{name, quoted(value)})
	}
	return all, nil
}

// pieces of a value: single quotes, and others. M stands alone, so that no value has the name of the mark.
var pieces = regexp.MustCompile(`'+|M|[^'M]+`)

// quoted writes text for php-fpm.conf. Between single quotes everything means itself, between double ones single quotes
// do, and quoted pieces side by side are one value. There are no empty pieces.
func quoted(text string) string {
	return pieces.ReplaceAllStringFunc(text, func(piece string) string {
		if piece[0] == '\'' {
			return `"` + piece + `"`
		}
		return "'" + piece + "'"
	})
}
