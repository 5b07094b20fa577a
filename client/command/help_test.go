package command

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"conpaas/client/api"

	"github.com/spf13/cobra"
)

func tree(t *testing.T, program string) (*cobra.Command, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	system := System{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }}
	root, err := newProgram(newGlobal(system), program)
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	root.SetOut(&out)
	root.SetErr(&out)
	return root, &out
}

// programs are the names that the program understands.
func programs() []string {
	return append(shortcuts(newGlobal(System{Getenv: func(string) string { return "" }})), "cps")
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, visit)
	}
}

func TestEveryCommandHasHelpAndAnExample(t *testing.T) {
	for _, program := range programs() {
		hasHelp(t, program)
	}
}

func hasHelp(t *testing.T, program string) {
	t.Helper()
	root, out := tree(t, program)
	walk(root, func(cmd *cobra.Command) {
		out.Reset()
		if err := cmd.Help(); err != nil {
			t.Errorf("%s: %v", cmd.CommandPath(), err)
		}
		text := out.String()
		description := cmd.Long
		if description == "" {
			description = cmd.Short
		}
		if cmd.Short == "" || !strings.HasPrefix(text, description) {
			t.Errorf("%s: the help does not begin with its description: %q", cmd.CommandPath(), text)
		}
		if cmd.Runnable() && !strings.Contains(text, "Usage:\n") {
			t.Errorf("%s: no usage in %q", cmd.CommandPath(), text)
		}
		if cmd.Runnable() && !cmd.HasSubCommands() && cmd.Example == "" {
			t.Errorf("%s: no example", cmd.CommandPath())
		}
		if strings.HasSuffix(cmd.Short, ".") || strings.ContainsAny(cmd.Short, "\n") {
			t.Errorf("%s: the short text %q is one line without a full stop", cmd.CommandPath(), cmd.Short)
		}
	})
}

// Every line of every example of every program is a command line that it accepts, and has the program's name
// unless it is about cps itself.
func TestExamplesAreValidCommandLines(t *testing.T) {
	for _, program := range programs() {
		root, _ := tree(t, program)
		lines, own := 0, 0
		walk(root, func(cmd *cobra.Command) {
			for line := range strings.Lines(cmd.Example) {
				line = strings.TrimSpace(line)
				lines++
				if split(line)[0] == program {
					own++
				}
				if err := parses(t, line); err != nil {
					t.Errorf("%s: %s: %v", program, line, err)
				}
			}
		})
		if own != lines || own < 2 {
			t.Errorf("%s: %d of %d examples begin with it", program, own, lines)
		}
	}
}

func TestParsesFindsMistakes(t *testing.T) {
	for _, line := range []string{
		"cps application creat shop", "cps application create", "cps application create shop --colour red", "ls", "cps service add-nodes shop web --node two",
	} {
		if parses(t, line) == nil {
			t.Errorf("%s is accepted", line)
		}
	}
}

// parses reads a command line with a fresh tree, since flags keep their values, as far as running it.
func parses(t *testing.T, line string) error {
	words := split(line)
	if len(words) == 0 || !slices.Contains(programs(), words[0]) {
		return usagef("it does not begin with a program")
	}
	root, _ := tree(t, words[0])
	cmd, rest, err := root.Find(words[1:])
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if cmd.HasSubCommands() {
		return usagef("%s is no command of its own", cmd.CommandPath())
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// split divides a line at spaces outside double quotes.
func split(line string) []string {
	var words []string
	quoted := false
	for word := range strings.FieldsFuncSeq(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	}) {
		words = append(words, strings.ReplaceAll(word, `"`, ""))
	}
	return words
}

func TestEveryNounShowsAndLists(t *testing.T) {
	root, _ := tree(t, "cps")
	for _, noun := range []string{"application", "service", "node", "cloud", "operation", "user"} {
		for _, verb := range []string{"list", "show"} {
			if cmd, rest, err := root.Find([]string{noun, verb}); err != nil || len(rest) > 0 || cmd.Name() != verb {
				t.Errorf("cps %s %s: %v", noun, verb, err)
			}
		}
	}
	for _, kind := range api.Catalogue() {
		if cmd, _, err := root.Find([]string{string(kind.Type)}); err != nil || cmd.Name() != string(kind.Type) {
			t.Errorf("there is no command for services of type %s: add client/command/%s.go", kind.Type, kind.Type)
		}
	}
}

func TestEveryApiCodeHasItsExitStatus(t *testing.T) {
	for code, want := range map[api.Code]int{
		api.CodeInvalid: 1, api.CodeConflict: 1, api.CodeInternal: 1, api.CodeUnsupported: 1, api.CodeTooLarge: 1, api.CodeStale: 1,
		api.CodeNotFound: 3, api.CodeUnauthenticated: 4, api.CodeSecondFactor: 4, api.CodeForbidden: 4, api.CodeQuota: 4,
		api.CodeThrottled: 5, api.CodeUnavailable: 5, api.CodeTimeout: 5, api.CodeFull: 5,
	} {
		if got := exitStatus(t.Context(), api.Errorf(code, "x")); got != want {
			t.Errorf("%s ends with %d, want %d", code, got, want)
		}
	}
}

func TestProgramNames(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin/cps": "cps", "/opt/cps-application": "cps-application", "cps-node.exe": "cps-node", "cpsclient": "cpsclient",
		"cps-tools": "cps-tools", "other": "cps",
	} {
		if got := programName([]string{path}); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	for _, bad := range []string{"cps-wine", "cps-", "cps-version", "cps-__complete"} {
		if _, err := newProgram(newGlobal(System{Getenv: func(string) string { return "" }}), bad); err == nil {
			t.Errorf("%s is a program", bad)
		}
	}
}
