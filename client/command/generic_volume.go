package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

// The commands for volumes are those of the original tools: a volume is made for a machine, and destroyed together with its content.

func newGenericCreateVolumeCommand(g *Global) *cobra.Command {
	var wait waitOptions
	cmd := &cobra.Command{
		Use:   "create-volume APPLICATION SERVICE NAME MIB NODE",
		Short: "Make a volume for a machine of the service, where scripts find it at " + api.VolumeDir + "/NAME",
		Long: `Make a volume and attach it to a machine of the service, where scripts find it at ` + api.VolumeDir + `/NAME. It
outlives the machine: the one that takes its place gets it. The commands of cps volume know it as well.`,
		Example: `cps generic create-volume shop generic results 1024 n3`,
		Args:    words("APPLICATION", "SERVICE", "NAME", "MIB", "NODE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			size, err := strconv.Atoi(args[3])
			if err != nil {
				return usagef("create-volume: %q is no number of MiB", args[3])
			}
			what := fmt.Sprintf("create volume %q of service %q of application %q", args[2], args[1], args[0])
			nodes, err := c.ServiceNodes(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			if !slices.ContainsFunc(nodes, func(n api.Node) bool { return string(n.ID) == args[4] }) {
				return usagef("create-volume: service %q has no machine %q; see: cps generic nodes %s %s", args[1], args[4], args[0], args[1])
			}
			op, err := c.CreateVolume(ctx, args[0], api.VolumeCreate{Name: args[2], SizeMiB: size, Node: api.NodeID(args[4])})
			return g.await(ctx, c, what, op, err, wait)
		}),
	}
	wait.flags(cmd)
	return g.ofType(api.Generic, cmd)
}

func newGenericDeleteVolumeCommand(g *Global) *cobra.Command {
	var wait waitOptions
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete-volume APPLICATION SERVICE VOLUME",
		Short:   "Take a volume from its machine, and destroy it",
		Example: `cps generic delete-volume shop generic results --yes`,
		Args:    words("APPLICATION", "SERVICE", "VOLUME"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("destroy volume %q of service %q of application %q", args[2], args[1], args[0])
			volumes, err := genericVolumes(ctx, c, args)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			if !slices.ContainsFunc(volumes, func(v api.Volume) bool { return v.Name == args[2] || string(v.ID) == args[2] }) {
				return usagef("delete-volume: service %q has no volume %q; see: cps generic list-volumes %s %s", args[1], args[2], args[0], args[1])
			}
			if err := g.confirm(ctx, yes, what, "What is on it is lost."); err != nil {
				return err
			}
			op, err := c.DetachVolume(ctx, args[0], args[2])
			if err := g.await(ctx, c, "detach volume "+args[2], op, err, waitOptions{}); err != nil {
				return err
			}
			op, err = c.DeleteVolume(ctx, args[0], args[2])
			return g.await(ctx, c, what, op, err, wait)
		}),
	}
	wait.flags(cmd)
	yesFlag(cmd, &yes)
	return g.ofType(api.Generic, cmd)
}

func newGenericVolumesCommand(g *Global) *cobra.Command {
	return g.ofType(api.Generic, &cobra.Command{
		Use:     "list-volumes APPLICATION SERVICE",
		Short:   "List the volumes of the machines of the service",
		Example: `cps generic list-volumes shop generic`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			volumes, err := genericVolumes(ctx, c, args)
			if err != nil {
				return fmt.Errorf("list the volumes of service %q of application %q: %w", args[1], args[0], err)
			}
			return g.show(volumes, func() error { return volumeTable(volumes, nil).Write(g.out) })
		}),
	})
}

// genericVolumes gives the volumes that machines of a service have.
func genericVolumes(ctx context.Context, c *director.Client, args []string) ([]api.Volume, error) {
	s, err := c.Service(ctx, args[0], args[1])
	if err != nil {
		return nil, err
	}
	volumes, err := c.Volumes(ctx, args[0])
	return slices.DeleteFunc(volumes, func(v api.Volume) bool { return v.Service != s.ID }), err
}
