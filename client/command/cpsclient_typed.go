package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

// flatTyped gives the commands of cpsclient that the type of a service decides on.
func flatTyped(g *Global, ofService func(cmd *cobra.Command, use, example string) *cobra.Command) []*cobra.Command {
	add := ofService(newServiceAddNodesCommand(g), "add_nodes SERVICE APPLICATION NUMBER… [CLOUD]", "cpsclient add_nodes 1 shop 2 0 0\ncpsclient add_nodes 1 shop 1 default")
	remove := ofService(newServiceRemoveNodesCommand(g), "remove_nodes SERVICE APPLICATION NUMBER…", "cpsclient remove_nodes 1 shop 2 0 0")
	for _, cmd := range []*cobra.Command{add, remove} {
		cmd.Long = cmd.Short + ".\n\n" + numbersHelp()
		g.numbered(cmd)
	}
	all := []*cobra.Command{add, remove}
	for kinds, cmds := range map[string][]*cobra.Command{
		codeTypes(): {
			ofService(newUploadCodeCommand(g, api.PHP), "upload_code SERVICE APPLICATION ARCHIVE", "cpsclient upload_code 1 shop shop.tar.gz"),
			ofService(newListCodesCommand(g), "list_uploads SERVICE APPLICATION", "cpsclient list_uploads 1 shop"),
			ofService(newEnableCodeCommand(g), "enable_code SERVICE APPLICATION VERSION", "cpsclient enable_code 1 shop code-abc234"),
			ofService(newDownloadCodeCommand(g, api.PHP), "download_code SERVICE APPLICATION [VERSION]", "cpsclient download_code 1 shop code-abc234 -O shop.tar.gz"),
			ofService(newDeleteCodeCommand(g), "delete_code SERVICE APPLICATION VERSION", "cpsclient delete_code 1 shop code-abc234 --yes"),
		},
		string(api.PHP): {
			ofService(newToggleDebugCommand(g), "toggle_debug SERVICE APPLICATION", "cpsclient toggle_debug 1 shop"),
		},
		string(api.Helloworld): {
			ofService(newHelloworldGetCommand(g), "get_helloworld SERVICE APPLICATION", "cpsclient get_helloworld 1 shop"),
		},
	} {
		for _, cmd := range cmds {
			cmd.Annotations = map[string]string{onlyType: kinds}
			all = append(all, cmd)
		}
	}
	return all
}

// onlyType is the annotation of a command that is for services of some types alone, with blanks between them.
const onlyType = "type"

// codeTypes are those with versions of code.
func codeTypes() string {
	var all []string
	for _, kind := range api.Catalogue() {
		if kind.Code {
			all = append(all, string(kind.Type))
		}
	}
	return strings.Join(all, " ")
}

// newFlatUsageCommand tells what there is for services of a type, or of all.
func newFlatUsageCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "usage [TYPE]",
		Short:   "Show all commands, or those for services of a type",
		Example: "cpsclient usage\ncpsclient usage php",
		Args:    words("[TYPE]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Root().Help()
			}
			kind, ok := api.FindServiceKind(api.ServiceType(args[0]))
			if !ok {
				return usagef("usage: there is no type %q; see: cpsclient available", args[0])
			}
			text := g.out.Text()
			if _, err := fmt.Fprintf(text, "%s: %s\n\n", kind.Type, kind.Description); err != nil {
				return err
			}
			for _, other := range cmd.Root().Commands() {
				types, typed := other.Annotations[onlyType]
				if typed && !slices.Contains(strings.Fields(types), args[0]) || !strings.HasPrefix(other.Use, other.Name()+" SERVICE ") {
					continue
				}
				use := strings.Replace(other.Use, "NUMBER…", strings.ToUpper(strings.ReplaceAll(joined(numbersOf(kind)), ", ", " ")), 1)
				if _, err := fmt.Fprintf(text, "  %-56s %s\n", use, other.Short); err != nil {
					return err
				}
			}
			return nil
		},
		ValidArgsFunction: g.complete(serviceTypes),
	}
}

// numbersOf gives the roles of a type in the order in which the first client counts them: from what does the work to
// what stands in front of it.
func numbersOf(kind api.ServiceKind) []api.Role {
	roles := kind.RoleNames()
	slices.Reverse(roles)
	return roles
}

func numbersHelp() string {
	var b strings.Builder
	b.WriteString("One number for each role of the service's type:\n")
	for _, k := range api.Catalogue() {
		fmt.Fprintf(&b, "\n  %-12s %s", k.Type, joined(numbersOf(k)))
	}
	return b.String() + "\n"
}

// numbered lets a command that counts machines by a flag per role take them as arguments after SERVICE APPLICATION, and where it
// has a flag for the cloud that one after them.
func (g *Global) numbered(cmd *cobra.Command) {
	run := cmd.RunE
	cloud := cmd.Flags().Lookup("cloud")
	for _, k := range api.Catalogue() {
		for _, role := range k.RoleNames() {
			cmd.Flags().Lookup(string(role)).Hidden = true
		}
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		return words("SERVICE", "APPLICATION", "NUMBER")(cmd, args[:min(len(args), 3)])
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		numbers := args[2:]
		if last := numbers[len(numbers)-1]; cloud != nil && len(numbers) > 1 && !isNumber(last) {
			numbers = numbers[:len(numbers)-1]
			if err := cloud.Value.Set(last); err != nil {
				return err
			}
		}
		c, err := g.authorized(cmd.Context())
		if err != nil {
			return err
		}
		s, err := c.Service(cmd.Context(), args[1], args[0])
		if err != nil {
			return fmt.Errorf("%s: service %q of application %q: %w", name(cmd), args[0], args[1], err)
		}
		kind, known := api.FindServiceKind(s.Type)
		if !known {
			return fmt.Errorf("%s: this program does not know the type %s of service %q; it is older than the director", name(cmd), s.Type, args[0])
		}
		roles := numbersOf(kind)
		if len(numbers) != len(roles) {
			return usagef("%s: a service of type %s takes %d numbers of machines: %s", name(cmd), s.Type, len(roles), joined(roles))
		}
		for i, role := range roles {
			if !isNumber(numbers[i]) {
				return usagef("%s: %q: it must be how many machines of role %s", name(cmd), numbers[i], role)
			}
			if err := cmd.Flags().Set(string(role), numbers[i]); err != nil {
				return usagef("%s: %w", name(cmd), err)
			}
		}
		return run(cmd, args[:2])
	}
}

func isNumber(text string) bool {
	_, err := strconv.Atoi(text)
	return err == nil
}

// newToggleDebugCommand switches debugging of a PHP service to what it is not.
func newToggleDebugCommand(g *Global) *cobra.Command {
	var wait waitOptions
	cmd := &cobra.Command{
		Short: "Let pages show the errors of the program, or no more",
		Long:  `Let pages show the errors of the program (setting display_errors) where they did not, and the other way round.`,
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			s, err := c.Service(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("toggle debugging of service %q of application %q: %w", args[1], args[0], err)
			}
			if s.Type != api.PHP {
				return usagef("toggle_debug: service %q of application %q is of type %s, not %s", args[1], args[0], s.Type, api.PHP)
			}
			value := "On"
			if s.Settings["display_errors"] == value {
				value = "Off"
			}
			return g.showErrors(ctx, c, args, value, wait)
		}),
	}
	wait.flags(cmd)
	return cmd
}
