package app

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"conpaas/client/api"
	"conpaas/director/store"
)

// Bounds of the variables of a service.
const (
	maxEnvironment  = 64 << 10 // bytes of all names and values
	maxVariableName = 128
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// reserved names are those that ConPaaS or a machine gives to programs.
var reserved = [...]string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "LANG", "IFS", "ENV", "BASH_ENV", "MY_IP", "MY_ROLE", "MY_NODE", "SERVICE", "APPLICATION"}

// Environment gives the variables of the programs of a service, secrets masked.
func (d *Director) Environment(ctx context.Context, a Actor, ref, service string) (out api.Environment, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		s, err := findService(r, a, ref, service, toView)
		if err != nil {
			return err
		}
		n, err := loadNeighbours(r, s.Application)
		if err != nil {
			return err
		}
		out = showEnvironment(n, s)
		return nil
	})
	return out, problem(err)
}

func showEnvironment(n neighbours, s store.Service) api.Environment {
	out := api.Environment{Variables: []api.Variable{}}
	for _, v := range n.variables(s) {
		shown := api.Variable{Name: v.name, Value: v.value.Reveal(), From: v.from, Link: v.link}
		if v.secret {
			shown.Value = api.Masked
		}
		out.Variables = append(out.Variables, shown)
	}
	slices.SortFunc(out.Variables, func(a, b api.Variable) int { return cmp.Compare(a.Name, b.Name) })
	for _, id := range n.environment(s.ID).Links {
		if target, ok := n.service(id); ok {
			out.Links = append(out.Links, target.Name)
		}
	}
	return out
}

// ChangeEnvironment changes variables, secrets and links of a service.
func (d *Director) ChangeEnvironment(ctx context.Context, a Actor, ref, service string, in api.EnvironmentChange) (api.Operation, error) {
	if err := checkEnvironment(in); err != nil {
		return api.Operation{}, err
	}
	return d.operation(ctx, "service.environment", func(tx *store.Tx) (none store.NewOperation, err error) {
		s, err := findService(&tx.Read, a, ref, service, toOperate)
		if err != nil {
			return none, err
		}
		if err := changeVariables(tx, s, in); err != nil {
			return none, err
		}
		if err := changeLinks(tx, s, in); err != nil {
			return none, err
		}
		v, err := tx.Application(s.Application)
		return store.NewOperation{Kind: api.OpServiceConfigure, Application: v.ID, Service: s.ID, Revision: v.Revision}, err
	})
}

// checkEnvironment refuses what cannot be right whatever the service has.
func checkEnvironment(in api.EnvironmentChange) error {
	if len(in.Set)+len(in.Secrets)+len(in.Unset)+len(in.Link)+len(in.Unlink) == 0 {
		return api.InField("set", "name a variable and its value, or a service to be linked with")
	}
	seen := make(map[string]bool)
	check := func(field, name, value string) error {
		if err := checkVariableName(field, name); err != nil {
			return err
		}
		if seen[name] {
			return api.InField(field+"."+name, "it is named twice")
		}
		seen[name] = true
		return checkVariableValue(field+"."+name, value)
	}
	for name, value := range in.Set {
		if err := check("set", name, value); err != nil {
			return err
		}
	}
	for name, value := range in.Secrets {
		if err := check("secrets", name, value.Reveal()); err != nil {
			return err
		}
	}
	for _, name := range in.Unset {
		if seen[name] {
			return api.InField("unset", "%.80q is named twice", name)
		}
		seen[name] = true
	}
	return nil
}

func checkVariableName(field, name string) error {
	switch upper := strings.ToUpper(name); {
	case len(name) > maxVariableName || !variableName.MatchString(name):
		return api.InField(field, "%.80q is no name of a variable: want letters, digits and '_', no digit first, at most %d", name, maxVariableName)
	case slices.Contains(reserved[:], upper) || strings.HasPrefix(upper, "LD_") || strings.HasPrefix(upper, "CONPAAS_"):
		return api.InField(field+"."+name, "the machine gives this variable to programs itself; choose another name")
	}
	return nil
}

// checkVariableValue refuses what not every program can be given: php-fpm reads its configuration by lines, and takes a
// value that begins with '$' for the name of another variable.
func checkVariableValue(field, value string) error {
	switch {
	case value == "":
		return api.InField(field, "it is empty; unset the variable, or give it a value")
	case !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }):
		return api.InField(field, "want one line of text; encode other things, by base64 for example")
	case value[0] == '$':
		return api.InField(field, "it begins with '$', which php-fpm takes for the name of another variable; encode it, by base64 for example")
	}
	return nil
}

func changeVariables(tx *store.Tx, s store.Service, in api.EnvironmentChange) error {
	for _, name := range in.Unset {
		if err := tx.UnsetVariable(s.Application, s.ID, name); notFound(err) {
			return api.InField("unset", "service %q has no variable %.80q of its own", s.Name, name)
		} else if err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(in.Set) {
		if err := tx.SetVariable(s.Application, s.ID, name, in.Set[name]); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(in.Secrets) {
		if err := tx.SetVariableSecret(s.Application, s.ID, name, in.Secrets[name]); err != nil {
			return err
		}
	}
	all, err := tx.Environments(s.Application)
	if err != nil || all[s.ID] == nil {
		return err
	}
	size := 0
	for name, value := range all[s.ID].Variables {
		size += len(name) + len(value)
	}
	for name, value := range all[s.ID].Secrets {
		size += len(name) + len(value)
	}
	if size > maxEnvironment {
		return api.InField("set", "the variables and secrets of service %q would have %d bytes; at most %d are allowed", s.Name, size, maxEnvironment)
	}
	return nil
}

// upper gives a name as part of the name of a variable.
func upper(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }
