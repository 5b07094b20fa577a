// Command newservice writes the pieces of a new service type into the tree that it is run in: `make new-service NAME=foo`.
//
// The template is the service type helloworld itself, with its name replaced (decision 0045). The command knows where a
// service type has its pieces and its rows, and nothing of what is in them.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if len(os.Args) != 2 || os.Args[1] == "" {
		fmt.Fprintln(os.Stderr, "usage: make new-service NAME=foo")
		os.Exit(2)
	}
	if err := run(".", os.Args[1], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "new-service:", err)
		os.Exit(1)
	}
}

// run makes the type in the tree below root and says what there is to be done.
func run(root, name string, out io.Writer) error {
	if err := checkName(name); err != nil {
		return fmt.Errorf("name %q: %w", name, err)
	}
	p, err := made(root, name)
	if err != nil {
		return fmt.Errorf("name %q: %w", name, err)
	}
	if err := p.write(root); err != nil {
		return fmt.Errorf("write service type %s: %w", name, err)
	}
	for _, path := range p.paths() {
		verb := "changed"
		if p[path].isNew {
			verb = "made"
		}
		fmt.Fprintf(out, "%-8s %s\n", verb, path)
	}
	_, err = fmt.Fprintf(out, `
%[1]s does what helloworld does. Next, with docs/contributing/service.md beside you:
  go test ./manager/services/... ./agent/services/%[1]s ./client/command
  go test ./client/e2e -run 'TestArchitecture|TestStoryContainer/%[1]s$' -count=1
`, name)
	return err
}
