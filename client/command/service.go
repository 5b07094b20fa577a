package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newServiceCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:     "service",
		Aliases: []string{"svc"},
		Short:   "Add, show, start, stop, scale and remove services",
		Long:    `A service is one part of an application: of one type, with machines in the roles of that type.`,
	},
		newServiceTypesCommand(g), newServiceAddCommand(g), newServiceListCommand(g, ""), newServiceShowCommand(g),
		newServiceStartCommand(g), newServiceStopCommand(g), newServiceRenameCommand(g), newServiceRemoveCommand(g),
		newServiceAddNodesCommand(g), newServiceRemoveNodesCommand(g), newServiceNodesCommand(g), newServiceLogCommand(g),
		newServiceEnvCommand(g), newServiceSecretCommand(g), newServiceLinkCommand(g), newServiceUnlinkCommand(g), newServiceScriptCommand(g),
	)
}

func newServiceTypesCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "types",
		Aliases: []string{"get-types"},
		Short:   "List the types of services, with their roles and settings",
		Example: `cps service types`,
		Args:    words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			kinds, err := c.ServiceTypes(ctx)
			if err != nil {
				return fmt.Errorf("list the service types: %w", err)
			}
			return g.show(kinds, func() error {
				t := ui.Table{Columns: []ui.Column{{Name: "type"}, {Name: "roles"}, {Name: "settings"}, {Name: "description"}}}
				for _, k := range kinds {
					var settings []string
					for _, s := range k.Settings {
						settings = append(settings, s.Name)
					}
					t.Rows = append(t.Rows, []string{string(k.Type), joined(k.RoleNames()), strings.Join(settings, ", "), k.Description})
				}
				return t.Write(g.out)
			})
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func joined(roles []api.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, ", ")
}

func newServiceAddCommand(g *Global) *cobra.Command {
	var in api.ServiceCreate
	var settings []string
	cmd := &cobra.Command{
		Use:   "add TYPE APPLICATION",
		Short: "Add a service to an application",
		Long:  "Add a service to an application.\n\n" + settingsHelp(),
		Example: `cps service add helloworld shop
cps service add helloworld shop --name front --set "greeting=Good morning"`,
		Args: words("TYPE", "APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			in.Type = api.ServiceType(args[0])
			var err error
			if in.Settings, err = assignments("--set ", settings); err != nil {
				return err
			}
			service, err := c.AddService(ctx, args[1], in)
			if err != nil {
				return fmt.Errorf("add a service of type %q to application %q: %w", in.Type, args[1], err)
			}
			return g.say(service, "Service %q has the id %s. Start it with: cps service start %s %s", service.Name, service.ID, service.Application, service.ID)
		}),
		ValidArgsFunction: g.complete(serviceTypes, applicationNames),
	}
	cmd.Flags().StringVar(&in.Name, "name", "", "its `name` (default: the type, with a number where it is taken)")
	cmd.Flags().StringArrayVar(&settings, "set", nil, "a setting, as `NAME=VALUE`; may be repeated")
	g.cloudFlag(cmd, &in.Cloud, "the cloud of its machines")
	return cmd
}

// settingsHelp lists the settings of every type that this program knows.
func settingsHelp() string {
	var b strings.Builder
	b.WriteString("The settings of each type, with their defaults:\n")
	for _, k := range api.Catalogue() {
		fmt.Fprintf(&b, "\n  %s: %s\n", k.Type, k.Description)
		for _, s := range k.Settings {
			fmt.Fprintf(&b, "    %s=%s  %s\n", s.Name, s.Default, s.Help)
		}
	}
	return b.String()
}

// newServiceListCommand lists the services of one type, or of all where kind is empty.
func newServiceListCommand(g *Global, kind api.ServiceType) *cobra.Command {
	var application string
	cmd := &cobra.Command{
		Use:     "list [APPLICATION]",
		Aliases: []string{"ls"},
		Short:   "List the services of an application, or of all",
		Example: `cps service list shop
cps service list -o json`,
		Args: words("[APPLICATION]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if application != "" && len(args) > 0 {
				return usagef("list the services: name the application once, as an argument or with --application")
			} else if application != "" {
				args = []string{application}
			}
			services, names, err := ofApplications(ctx, c, args, c.Services)
			if err != nil {
				return fmt.Errorf("list the services: %w", err)
			}
			services = slices.DeleteFunc(services, func(s api.Service) bool { return kind != "" && s.Type != kind })
			return g.show(services, func() error { return serviceTable(services, names).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
	cmd.Flags().StringVarP(&application, "application", "a", "", "only those of an `application`")
	register(cmd, "application", g.completeFlag(applicationNames))
	return cmd
}

// ofApplications lists the things of the application in args, or those of all applications with their names.
func ofApplications[T any](ctx context.Context, c *director.Client, args []string, list func(context.Context, string) ([]T, error)) ([]T, map[api.ApplicationID]string, error) {
	if len(args) > 0 {
		things, err := list(ctx, args[0])
		if err != nil {
			return nil, nil, fmt.Errorf("application %q: %w", args[0], err)
		}
		return things, nil, nil
	}
	apps, err := c.Applications(ctx)
	if err != nil {
		return nil, nil, err
	}
	all, names := []T{}, map[api.ApplicationID]string{}
	for _, a := range apps {
		names[a.ID] = a.Name
		things, err := list(ctx, a.ID.String())
		if api.CodeFrom(err) == api.CodeNotFound { // deleted since
			continue
		} else if err != nil {
			return nil, nil, fmt.Errorf("application %q: %w", a.Name, err)
		}
		all = append(all, things...)
	}
	return all, names, nil
}

func serviceTable(services []api.Service, applications map[api.ApplicationID]string) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "application", Optional: true},
		{Name: "id", Right: true},
		{Name: "name"},
		{Name: "type"},
		{Name: "state", Color: colorOf},
		{Name: "nodes"},
		{Name: "ready", Right: true},
		{Name: "cloud"},
		{Name: "endpoint", Optional: true},
		{Name: "reason", Optional: true},
	}}
	for _, s := range services {
		t.Rows = append(t.Rows, []string{
			applications[s.Application], s.ID.String(), s.Name, string(s.Type), string(s.State), perRole(s.Nodes),
			fmt.Sprintf("%d/%d", s.Ready, s.Machines), s.Cloud, firstURL(s.Endpoints), s.Reason,
		})
	}
	return t
}

func perRole(nodes map[api.Role]int) string {
	var parts []string
	for _, role := range slices.Sorted(maps.Keys(nodes)) {
		parts = append(parts, fmt.Sprintf("%s=%d", role, nodes[role]))
	}
	return strings.Join(parts, " ")
}

func firstURL(endpoints []api.Endpoint) string {
	for _, e := range endpoints {
		if e.URL != "" {
			return e.URL
		}
	}
	return ""
}

func newServiceShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show APPLICATION SERVICE",
		Aliases: []string{"get-state"},
		Short:   "Show a service with its settings and endpoints",
		Example: `cps service show shop helloworld`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			s, err := c.Service(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("show service %q of application %q: %w", args[1], args[0], err)
			}
			return g.show(s, func() error { return serviceFields(s).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
}

func serviceFields(s api.Service) ui.Fields {
	fields := ui.Fields{
		{Name: "Name", Value: s.Name},
		{Name: "Id", Value: s.ID.String()},
		{Name: "Application", Value: s.Application.String()},
		{Name: "Type", Value: string(s.Type)},
		{Name: "State", Value: string(s.State), Color: colorOf(string(s.State))},
		{Name: "Reason", Value: s.Reason},
		{Name: "Since", Value: at(s.Since)},
		{Name: "Created", Value: at(s.Created)},
		{Name: "Cloud", Value: s.Cloud},
		{Name: "Nodes", Value: perRole(s.Nodes)},
		{Name: "Ready", Value: fmt.Sprintf("%d of %d", s.Ready, s.Machines)},
	}
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		fields = append(fields, ui.Field{Name: "Setting " + name, Value: s.Settings[name]})
	}
	for _, e := range s.Endpoints {
		where := e.URL
		if where == "" {
			where = "not published yet"
		}
		fields = append(fields, ui.Field{
			Name:  "Endpoint " + e.Name,
			Value: fmt.Sprintf("%s (node %s, port %s)", where, e.Node, strconv.Itoa(int(e.Port))),
		})
	}
	return fields
}

func newServiceRenameCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "rename APPLICATION SERVICE NAME",
		Short:   "Give a service another name",
		Example: `cps service rename shop helloworld front`,
		Args:    words("APPLICATION", "SERVICE", "NAME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			s, err := c.RenameService(ctx, args[0], args[1], args[2])
			if err != nil {
				return fmt.Errorf("rename service %q of application %q: %w", args[1], args[0], err)
			}
			return g.say(s, "Service %s is now called %q.", s.ID, s.Name)
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
}
