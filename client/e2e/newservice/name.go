package main

import (
	"context"
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"io"
	"regexp"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/client/command"
)

// template is the type that others are made of.
const template = string(api.Helloworld)

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]{2,29}$`)

// special are names that mean something to the go command or to cps.
var special = []string{"main", "internal", "vendor", "testdata", "init", "tools"}

// checkName refuses what cannot be the name of a package, of a command, of a service and the beginning of variables at once. What the
// tree has already is not its business.
func checkName(name string) error {
	switch {
	case !nameForm.MatchString(name):
		return errors.New("it must be 3 to 30 small letters and digits, a letter first: it is the name of packages, commands and services")
	case token.IsKeyword(name) || types.Universe.Lookup(name) != nil:
		return errors.New("it is a word of Go")
	case slices.Contains(special, name):
		return errors.New("it means something else to the go command or to cps")
	case strings.HasSuffix(name, "test"):
		return errors.New("packages whose names end in test are for tests only")
	}
	if _, taken := api.FindServiceKind(api.ServiceType(name)); taken {
		return errors.New("there is a service type of that name")
	}
	help := command.System{
		Args: []string{"cps", "help", name}, Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: io.Discard,
		Getenv: func(string) string { return "" },
	}
	if command.Run(context.Background(), help) == 0 {
		return fmt.Errorf("cps has a command or a topic of that name: cps help %s", name)
	}
	return nil
}
