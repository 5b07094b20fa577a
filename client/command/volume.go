package command

import (
	"context"
	"fmt"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newVolumeCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   "volume",
		Short: "Disks that outlive machines: make, attach, detach, restore",
		Long: `A volume is a disk that outlives the machines that have it: when one is lost, the machine that takes its
place gets the volume. Machines have their volumes at ` + api.VolumeDir + `/NAME.

Some services have a volume for each machine; those come and go by themselves. What nothing needs any more is an orphan,
which is kept for some time and can be restored.`,
	},
		newVolumeListCommand(g), newVolumeShowCommand(g), newVolumeCreateCommand(g), newVolumeAttachCommand(g), newVolumeDetachCommand(g),
		newVolumeDeleteCommand(g), newVolumeRestoreCommand(g),
	)
}

func newVolumeListCommand(g *Global) *cobra.Command {
	var orphans bool
	cmd := &cobra.Command{
		Use:     "list [APPLICATION]",
		Aliases: []string{"ls"},
		Short:   "List the volumes of an application, or of all; or the orphans",
		Example: `cps volume list shop
cps volume list --orphans`,
		Args: words("[APPLICATION]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if orphans {
				if len(args) > 0 {
					return usagef("--orphans lists those of all applications; leave %q out", args[0])
				}
				volumes, err := c.Orphans(ctx)
				if err != nil {
					return fmt.Errorf("list the orphaned volumes: %w", err)
				}
				return g.show(volumes, func() error { return orphanTable(volumes).Write(g.out) })
			}
			volumes, names, err := ofApplications(ctx, c, args, c.Volumes)
			if err != nil {
				return fmt.Errorf("list the volumes: %w", err)
			}
			return g.show(volumes, func() error { return volumeTable(volumes, names).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
	cmd.Flags().BoolVar(&orphans, "orphans", false, "list the volumes that nothing needs any more, and when they are destroyed")
	return cmd
}

func volumeTable(volumes []api.Volume, applications map[api.ApplicationID]string) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "application", Optional: true},
		{Name: "id"},
		{Name: "name"},
		{Name: "MiB", Right: true},
		{Name: "state", Color: colorOf},
		{Name: "node"},
		{Name: "cloud"},
		{Name: "service", Right: true, Optional: true},
		{Name: "reason", Optional: true},
	}}
	for _, v := range volumes {
		service := ""
		if v.Service != 0 {
			service = v.Service.String()
		}
		t.Rows = append(t.Rows, []string{applications[v.Application], string(v.ID), v.Name, strconv.Itoa(v.SizeMiB), string(v.State), string(v.Node), v.Cloud, service, v.Reason})
	}
	return t
}

func orphanTable(volumes []api.Volume) ui.Table {
	t := ui.Table{Columns: []ui.Column{{Name: "id"}, {Name: "name"}, {Name: "MiB", Right: true}, {Name: "cloud"}, {Name: "until"}, {Name: "belonged to"}}}
	for _, v := range volumes {
		t.Rows = append(t.Rows, []string{string(v.ID), v.Name, strconv.Itoa(v.SizeMiB), v.Cloud, until(v), v.Origin})
	}
	return t
}

// until is when an orphan is destroyed.
func until(v api.Volume) string {
	if v.Until == nil {
		return ""
	}
	return at(*v.Until)
}

func newVolumeShowCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "show APPLICATION VOLUME",
		Short:   "Show a volume",
		Example: `cps volume show shop files`,
		Args:    words("APPLICATION", "VOLUME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			v, err := c.Volume(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("show volume %q of application %q: %w", args[1], args[0], err)
			}
			return g.show(v, func() error {
				return ui.Fields{
					{Name: "Id", Value: string(v.ID)},
					{Name: "Name", Value: v.Name},
					{Name: "Size", Value: fmt.Sprintf("%d MiB", v.SizeMiB)},
					{Name: "State", Value: string(v.State), Color: colorOf(string(v.State))},
					{Name: "Reason", Value: v.Reason},
					{Name: "Node", Value: string(v.Node)},
					{Name: "Mounted at", Value: v.Mount},
					{Name: "Cloud", Value: v.Cloud},
					{Name: "Since", Value: at(v.Since)},
					{Name: "Created", Value: at(v.Created)},
				}.Write(g.out)
			})
		}),
		ValidArgsFunction: g.complete(applicationNames, volumeNames),
	}
}

func newVolumeCreateCommand(g *Global) *cobra.Command {
	var wait waitOptions
	in := api.VolumeCreate{SizeMiB: 1024}
	cmd := &cobra.Command{
		Use:   "create APPLICATION NAME",
		Short: "Make a volume, for a machine or a service where --node or --service names one",
		Long: `Make a volume. With --node it is attached to that machine; with --service to the oldest machine of the service's role, or to the
next one while there is none.`,
		Example: `cps volume create shop files --size 2048
cps volume create shop files --node n12
cps volume create shop files --service php --role backend`,
		Args: words("APPLICATION", "NAME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			in.Name = args[1]
			op, err := c.CreateVolume(ctx, args[0], in)
			return g.await(ctx, c, fmt.Sprintf("create volume %q of application %q", args[1], args[0]), op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
	cmd.Flags().IntVar(&in.SizeMiB, "size", in.SizeMiB, fmt.Sprintf("its size in `MiB`, %d to %d", api.MinVolumeMiB, api.MaxVolumeMiB))
	cmd.Flags().StringVar((*string)(&in.Node), "node", "", "the `machine` that is to have it")
	register(cmd, "node", g.completeFlag(nodesOfApplication))
	g.volumeServiceFlags(cmd, &in.VolumeService)
	g.cloudFlag(cmd, &in.Cloud, "whose machines can have it")
	wait.flags(cmd)
	return cmd
}

func newVolumeAttachCommand(g *Global) *cobra.Command {
	var wait waitOptions
	var in api.VolumeAttach
	cmd := &cobra.Command{
		Use:   "attach APPLICATION VOLUME [NODE]",
		Short: "Give a volume to a machine, which may run, or to a service",
		Long: `Give a volume to a machine of a service: to NODE, or with --service to the oldest one of its role, or the next one while there is
none. The machine has it at ` + api.VolumeDir + `/NAME.
When the machine is lost, or the service is stopped and started, the machine that takes its place gets the volume.`,
		Example: `cps volume attach shop files n12
cps volume attach shop files --service php`,
		Args: words("APPLICATION", "VOLUME", "[NODE]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if (len(args) > 2) == (in.Service != "") {
				return usagef("name the machine, or a service by --service")
			}
			to := fmt.Sprintf("service %q", in.Service)
			if len(args) > 2 {
				in.Node = api.NodeID(args[2])
				to = "node " + args[2]
			}
			op, err := c.AttachVolume(ctx, args[0], args[1], in)
			return g.await(ctx, c, fmt.Sprintf("attach volume %q of application %q to %s", args[1], args[0], to), op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, volumeNames, nodesOfApplication),
	}
	g.volumeServiceFlags(cmd, &in.VolumeService)
	wait.flags(cmd)
	return cmd
}

// volumeServiceFlags are whose machines are to have a volume.
func (g *Global) volumeServiceFlags(cmd *cobra.Command, in *api.VolumeService) {
	cmd.Flags().StringVar(&in.Service, "service", "", "the `service` whose machines are to have it")
	register(cmd, "service", g.completeFlag(serviceNames))
	cmd.Flags().StringVar((*string)(&in.Role), "role", "", "the `role` of those machines (default: the first of the service's type)")
	register(cmd, "role", cobra.NoFileCompletions)
}

func newVolumeDetachCommand(g *Global) *cobra.Command {
	var wait waitOptions
	cmd := &cobra.Command{
		Use:     "detach APPLICATION VOLUME",
		Short:   "Take a volume from its machine; what is on it is kept",
		Example: `cps volume detach shop files`,
		Args:    words("APPLICATION", "VOLUME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			op, err := c.DetachVolume(ctx, args[0], args[1])
			return g.await(ctx, c, fmt.Sprintf("detach volume %q of application %q", args[1], args[0]), op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, volumeNames),
	}
	wait.flags(cmd)
	return cmd
}

func newVolumeDeleteCommand(g *Global) *cobra.Command {
	var wait waitOptions
	var yes, orphan bool
	cmd := &cobra.Command{
		Use:     "delete [APPLICATION] VOLUME",
		Aliases: []string{"remove"},
		Short:   "Destroy a volume that no machine has; with --orphan one that nothing needs",
		Example: `cps volume delete shop files --yes
cps volume delete v12 --orphan --yes`,
		Args: words("APPLICATION|VOLUME", "[VOLUME]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if orphan != (len(args) == 1) {
				return usagef("name the application and the volume, or a volume with --orphan")
			}
			what := fmt.Sprintf("destroy volume %q", args[len(args)-1])
			if err := g.confirm(ctx, yes, what, "What is on it is lost."); err != nil {
				return err
			}
			if orphan {
				if err := c.DeleteOrphan(ctx, args[0]); err != nil {
					return fmt.Errorf("%s: %w", what, err)
				}
				return g.say(struct{}{}, "Volume %s is being destroyed.", args[0])
			}
			op, err := c.DeleteVolume(ctx, args[0], args[1])
			return g.await(ctx, c, what, op, err, wait)
		}),
		ValidArgsFunction: g.complete(applicationNames, volumeNames),
	}
	cmd.Flags().BoolVar(&orphan, "orphan", false, "destroy an orphan before its time")
	wait.flags(cmd)
	yesFlag(cmd, &yes)
	return cmd
}

func newVolumeRestoreCommand(g *Global) *cobra.Command {
	in := api.VolumeRestore{}
	cmd := &cobra.Command{
		Use:   "restore VOLUME APPLICATION",
		Short: "Give an orphaned volume to an application",
		Long:  `Give a volume that nothing needed any more (cps volume list --orphans) to an application, with what is on it.`,
		Example: `cps volume restore v12 shop
cps volume restore v12 shop --name old-data`,
		Args: words("VOLUME", "APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			in.Application = args[1]
			v, err := c.RestoreVolume(ctx, args[0], in)
			if err != nil {
				return fmt.Errorf("restore volume %s: %w", args[0], err)
			}
			return g.say(v, "Volume %s is %q of application %q now. Attach it with: cps volume attach %s %s NODE", v.ID, v.Name, args[1], args[1], v.Name)
		}),
		ValidArgsFunction: g.complete(orphanIDs, applicationNames),
	}
	cmd.Flags().StringVar(&in.Name, "name", "", "its `name` there (default: the one that it had)")
	register(cmd, "name", cobra.NoFileCompletions)
	return cmd
}

// volumeNames completes a volume of the application before it.
func volumeNames(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error) {
	volumes, err := c.Volumes(ctx, args[0])
	var names []cobra.Completion
	for _, v := range volumes {
		names = append(names, described(v.Name, fmt.Sprintf("%d MiB, %s", v.SizeMiB, v.State)))
	}
	return names, err
}

// nodesOfApplication completes a machine of the application before it.
func nodesOfApplication(ctx context.Context, c *director.Client, args []string) ([]cobra.Completion, error) {
	if len(args) == 0 {
		return nil, nil
	}
	nodes, err := c.Nodes(ctx, args[0])
	var names []cobra.Completion
	for _, n := range nodes {
		if n.Role != api.ManagerRole {
			names = append(names, described(string(n.ID), string(n.Role)))
		}
	}
	return names, err
}

// orphanIDs completes an orphan.
func orphanIDs(ctx context.Context, c *director.Client, _ []string) ([]cobra.Completion, error) {
	volumes, err := c.Orphans(ctx)
	var names []cobra.Completion
	for _, v := range volumes {
		names = append(names, described(string(v.ID), v.Origin))
	}
	return names, err
}
