package e2e

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"conpaas/client/command"
)

var (
	docCommand = regexp.MustCompile("(?m)(?:^    (?:bin/)?|`)(cps [a-z][^`#|>\n]*)")
	docFlag    = regexp.MustCompile(`--[a-z][a-z-]*`)
)

// The commands that the pages name are commands of cps, with the flags that they have there.
func TestArchitectureDocsCommands(t *testing.T) {
	helps := map[string]string{}
	eachPage(t, func(page, text string) {
		for _, m := range docCommand.FindAllStringSubmatch(text, -1) {
			if err := checkCommand(m[1], helps); err != nil {
				t.Errorf("%s: %q: %v", page, strings.TrimSpace(m[1]), err)
			}
		}
	})
}

func checkCommand(line string, helps map[string]string) error {
	path, help := []string{}, helpOf(nil, helps)
	called := func() string { return strings.Join(append([]string{"cps"}, path...), " ") }
	for _, word := range strings.Fields(line)[1:] {
		if !strings.Contains(help, "Available Commands:") {
			break
		}
		next := helpOf(append(path, word), helps)
		if next == "" {
			return fmt.Errorf("%s has no command %s", called(), word)
		}
		path, help = append(path, word), next
	}
	for _, flag := range docFlag.FindAllString(line, -1) {
		if !regexp.MustCompile(flag + `\b[^-]`).MatchString(help) {
			return fmt.Errorf("%s has no %s", called(), flag)
		}
	}
	return nil
}

// helpOf gives the help of a command, "" where there is none.
func helpOf(path []string, helps map[string]string) string {
	key := strings.Join(path, " ")
	if help, known := helps[key]; known {
		return help
	}
	var out strings.Builder
	status := command.Run(context.Background(), command.System{
		Args: append([]string{"cps", "help"}, path...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: io.Discard,
		Getenv: func(string) string { return "" },
	})
	if status == 0 {
		helps[key] = out.String()
	}
	return helps[key]
}

// The rule of the commands finds what it is for.
func TestArchitectureCommandsRuleFindsWhatItIsFor(t *testing.T) {
	helps := map[string]string{}
	for line, finds := range map[string]string{
		"cps service add-nodes shop hello --node 2 --no-wait": "",
		"cps service add-nodes shop hello --nodes 2":          "has no --nodes",
		"cps service grow shop":                               "cps service has no command grow",
		"cps shop":                                            "has no command shop",
		"cps help exit-codes":                                 "",
	} {
		if err := checkCommand(line, helps); finds == "" && err != nil || finds != "" && (err == nil || !strings.Contains(err.Error(), finds)) {
			t.Errorf("%s: %v; want %q", line, err, finds)
		}
	}
}
