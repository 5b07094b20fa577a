package command

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// The names under which the program is not cps itself, nor the shortcut of a noun such as cps-service.
const (
	programCPS     = "cps"
	programTools   = "cps-tools"
	programClient  = "cpsclient"
	shortcutPrefix = "cps-"
)

// programName gives the name that the program was called by; one that means nothing to it counts as cps.
func programName(args []string) string {
	if len(args) == 0 {
		return programCPS
	}
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	if name == programClient || strings.HasPrefix(name, shortcutPrefix) {
		return name
	}
	return programCPS
}

// newProgram gives the commands of the program of that name: as with the original tools cps-tools has all of
// them, cps-service those of the noun service, and cpsclient a flat list.
func newProgram(g *Global, program string) (*cobra.Command, error) {
	if program == programClient {
		root := newFlatCommand(g)
		g.finish(root, "cpsclient help startapp")
		return root, nil
	}
	tree := newTree(g)
	noun, shortcut := strings.CutPrefix(program, shortcutPrefix)
	if !shortcut || program == programTools {
		tree.Use = program
		retell(tree, programCPS+" ", program+" ")
		g.finish(tree, program+" help service add-nodes\n"+program+" help exit-codes")
		return tree, nil
	}
	i := slices.IndexFunc(tree.Commands(), func(c *cobra.Command) bool { return c.Name() == noun && c.HasSubCommands() })
	if i < 0 {
		return nil, usagef("there are no commands for %q; those that there are: cps --help", noun)
	}
	root := tree.Commands()[i]
	tree.RemoveCommand(root)
	root.Use, root.Aliases = program, nil
	retell(root, programCPS+" "+noun+" ", program+" ")
	root.SilenceErrors, root.SilenceUsage = true, true
	g.finish(root, program+" help "+root.Commands()[0].Name())
	root.AddCommand(newCompletionCommand(program))
	return root, nil
}

// shortcuts are the names that the program understands beside cps.
func shortcuts(g *Global) []string {
	names := []string{programTools, programClient}
	for _, noun := range newTree(g).Commands() {
		if noun.HasSubCommands() {
			names = append(names, shortcutPrefix+noun.Name())
		}
	}
	return names
}

// finish gives a root what every program has: flags, help, errors and the spellings of the original.
func (g *Global) finish(root *cobra.Command, helpExample string) {
	g.flags(root)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return g.checkOutput(cmd) }
	root.SetGlobalNormalizationFunc(normalize)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s: %w; see: %s --help", name(cmd), err, cmd.CommandPath())
	})
	root.CompletionOptions.DisableDefaultCmd = true
	help := newHelpCommand(root)
	help.Example = helpExample
	root.SetHelpCommand(help)
	root.InitDefaultHelpCmd()
	underscores(root)
	indentExamples(root)
}

// underscores lets every name with hyphens be written as in the original: add_nodes for add-nodes.
func underscores(cmd *cobra.Command) {
	for _, name := range append([]string{cmd.Name()}, cmd.Aliases...) {
		if spelt := strings.ReplaceAll(name, "-", "_"); cmd.HasParent() && spelt != name {
			cmd.Aliases = append(cmd.Aliases, spelt)
		}
	}
	for _, sub := range cmd.Commands() {
		underscores(sub)
	}
}

// retell lets the lines of all examples that begin with one program begin with another.
func retell(cmd *cobra.Command, from, to string) {
	lines := strings.Split(cmd.Example, "\n")
	for i, line := range lines {
		if rest, ok := strings.CutPrefix(line, from); ok {
			lines[i] = to + rest
		}
	}
	cmd.Example = strings.Join(lines, "\n")
	for _, sub := range cmd.Commands() {
		retell(sub, from, to)
	}
}
