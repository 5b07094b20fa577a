package command

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"github.com/spf13/cobra"

	"conpaas/vpn"
)

type planOptions struct {
	base   string
	mask   string
	bits   int
	output string
}

// planView is the plan as it is printed.
type planView struct {
	Network                string          `json:"network"`
	ServiceBits            int             `json:"service_bits"`
	ServicesPerApplication int             `json:"services_per_application"`
	AgentsPerService       int             `json:"agents_per_service"`
	Manager                netip.Addr      `json:"manager"`
	Partitions             []partitionView `json:"partitions"`
}

type partitionView struct {
	Service int        `json:"service"`
	First   netip.Addr `json:"first"`
	Last    netip.Addr `json:"last"`
}

func newVPNCommand(g *global) *cobra.Command {
	c := &cobra.Command{Use: "vpn", Short: "The overlay network of applications"}
	o := &planOptions{}
	plan := &cobra.Command{
		Use:   "plan",
		Short: "Show how the addresses of an application's network are dealt out",
		Long: `Show how the addresses of an application's network are dealt out: to how many services, to how many
agents of each, and which. Without flags the plan is that of the configuration.`,
		Example: "  cpsdirector vpn plan\n  cpsdirector vpn plan --base 172.16.0.0 --netmask 255.240.0.0 --service-bits 5 -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := o.plan(c, g)
			if err != nil {
				return err
			}
			return printPlan(c.OutOrStdout(), p, o.output)
		},
	}
	plan.Flags().StringVar(&o.base, "base", "", "first `address` (VPN_BASE_NETWORK)")
	plan.Flags().StringVar(&o.mask, "netmask", "", "`mask` or prefix length (VPN_NETMASK)")
	plan.Flags().IntVar(&o.bits, "service-bits", 0, "bits that tell services apart (VPN_SERVICE_BITS)")
	plan.Flags().StringVarP(&o.output, "output", "o", "table", "table or json")
	c.AddCommand(plan)
	return c
}

// plan is the configured one with what the flags change.
func (o *planOptions) plan(c *cobra.Command, g *global) (vpn.Plan, error) {
	configured, err := g.read()
	if err != nil {
		return vpn.Plan{}, err
	}
	base, length, bits := configured.VPN.Plan.Prefix().Addr(), configured.VPN.Plan.Prefix().Bits(), configured.VPN.Plan.ServiceBits()
	if o.base != "" {
		if base, err = netip.ParseAddr(o.base); err != nil {
			return vpn.Plan{}, fmt.Errorf("--base %q: want an IPv4 address like 172.16.0.0", o.base)
		}
	}
	if o.mask != "" {
		if length, err = vpn.ParseMask(o.mask); err != nil {
			return vpn.Plan{}, fmt.Errorf("--netmask: %w", err)
		}
	}
	if c.Flags().Changed("service-bits") {
		bits = o.bits
	}
	return vpn.NewPlan(netip.PrefixFrom(base, length), bits)
}

func printPlan(w io.Writer, p vpn.Plan, output string) error {
	view := planView{
		Network: p.Prefix().String(), ServiceBits: p.ServiceBits(), ServicesPerApplication: p.ServicesPerApplication(),
		AgentsPerService: p.AgentsPerService(), Manager: p.Manager(),
	}
	for i := range p.ServicesPerApplication() {
		part, err := p.Partition(i)
		if err != nil {
			return err
		}
		view.Partitions = append(view.Partitions, partitionView{Service: i, First: part.First, Last: part.Last})
	}
	switch output {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(view)
	case "table":
	default:
		return fmt.Errorf("--output %q: want table or json", output)
	}
	fmt.Fprintf(w, "network                   %s\nservice bits              %d\n", view.Network, view.ServiceBits)
	fmt.Fprintf(w, "services per application  %d\nagents per service        %d\nmanager                   %s\n\n", view.ServicesPerApplication, view.AgentsPerService, view.Manager)
	fmt.Fprintln(w, "PARTITION  FIRST AGENT      LAST AGENT")
	for _, part := range view.Partitions {
		fmt.Fprintf(w, "%-9d  %-15s  %s\n", part.Service, part.First, part.Last)
	}
	return nil
}
