package command

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

func newApplicationNetworkCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "network APPLICATION",
		Short:   "Show the private network: addresses and the path of every pair of nodes",
		Example: `cps application network shop`,
		Args:    words("APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			network, err := c.ApplicationNetwork(ctx, args[0])
			if err != nil {
				return fmt.Errorf("show the network of application %q: %w", args[0], err)
			}
			return g.show(network, func() error { return g.showNetwork(network) })
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
}

func (g *Global) showNetwork(n api.ApplicationNetwork) error {
	fields := ui.Fields{
		{Name: "Network", Value: n.Network.Prefix.String()},
		{Name: "Services", Value: fmt.Sprintf("up to %d", 1<<min(n.Network.ServiceBits, 30))},
	}
	if !n.Network.Active {
		fields = append(fields, ui.Field{Name: "Note", Value: "planned only: these machines have no network of their own", Color: ui.Warning})
	}
	if err := fields.Write(g.out); err != nil {
		return err
	}
	fmt.Fprintln(g.out)
	t := ui.Table{Columns: []ui.Column{
		{Name: "node"},
		{Name: "address"},
		{Name: "data plane"},
		{Name: "peer"},
		{Name: "path", Color: colorOf},
		{Name: "relay", Optional: true},
		{Name: "endpoint", Optional: true},
		{Name: "handshake", Optional: true},
		{Name: "latency", Right: true, Optional: true},
		{Name: "received", Right: true},
		{Name: "sent", Right: true},
	}}
	for _, node := range n.Nodes {
		name := []string{string(node.Node), address(node.Address), node.DataPlane}
		for _, p := range node.Peers {
			var handshake, latency string
			if p.Handshake != nil {
				handshake = at(*p.Handshake)
			}
			if p.LatencyMS > 0 {
				latency = strconv.FormatFloat(p.LatencyMS, 'f', 2, 64) + " ms"
			}
			t.Rows = append(t.Rows, append(name[:3:3], string(p.Peer), string(p.Path), p.Relay, endpoint(p.Endpoint), handshake,
				latency, ui.Size(p.Received), ui.Size(p.Sent)))
		}
		if len(node.Peers) == 0 {
			t.Rows = append(t.Rows, append(name, "", "", "", "", "", "", "", ""))
		}
	}
	return t.Write(g.out)
}

func newApplicationEventsCommand(g *Global) *cobra.Command {
	var follow bool
	var after int64
	cmd := &cobra.Command{
		Use:   "events APPLICATION",
		Short: "Show what happened to an application, and go on with what happens",
		Example: `cps application events shop
cps application events shop --follow -o json`,
		Args: words("APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			if follow {
				return g.followEvents(ctx, c, args[0], after)
			}
			events, err := c.ApplicationEvents(ctx, args[0], after)
			if err != nil {
				return fmt.Errorf("show the events of application %q: %w", args[0], err)
			}
			return g.show(events, func() error { return eventTable(events).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens, until interrupted; JSON is then a document per line")
	cmd.Flags().Int64Var(&after, "after", 0, "begin after the event with this `id`")
	return cmd
}

func eventTable(events []api.Event) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "id", Right: true}, {Name: "time"}, {Name: "about"}, {Name: "kind"}, {Name: "what happened"},
	}}
	for _, e := range events {
		t.Rows = append(t.Rows, []string{strconv.FormatInt(e.ID, 10), at(e.Time), about(e), e.Kind, alarm(e) + e.Text})
	}
	return t
}

// about names the smallest thing that an event is of.
func about(e api.Event) string {
	switch {
	case e.Node != "":
		return "node " + string(e.Node)
	case e.Service != 0:
		return "service " + e.Service.String()
	case e.Operation != "":
		return "operation " + string(e.Operation)
	}
	return ""
}

func alarm(e api.Event) string {
	if e.Alarm {
		return "ALARM: "
	}
	return ""
}

// followEvents goes on after a break of the connection with the event after the last one that was shown.
func (g *Global) followEvents(ctx context.Context, c *director.Client, app string, after int64) error {
	retry := newRetry(func(err error) { fmt.Fprintln(g.err, ui.Clean(lost(err))) })
	for {
		var broken error
		for e, err := range c.FollowApplicationEvents(ctx, app, after) {
			if err != nil {
				broken = err
				break
			}
			retry.good()
			after = max(after, e.ID)
			if err := g.showEvent(e); err != nil {
				return err
			}
		}
		if err := retry.wait(ctx, broken); err != nil {
			return fmt.Errorf("follow the events of application %q: %w", app, err)
		}
	}
}

func (g *Global) showEvent(e api.Event) error {
	switch g.output {
	case formJSON:
		return ui.WriteJSONLine(g.out, e)
	case formYAML:
		if _, err := io.WriteString(g.out, "---\n"); err != nil {
			return err
		}
		return ui.WriteYAML(g.out, e)
	}
	line := e.Time.Local().Format(time.DateTime)
	for _, part := range []string{about(e), alarm(e) + e.Text} {
		if part != "" {
			line += "  " + part
		}
	}
	_, err := fmt.Fprintln(g.out, ui.Clean(line))
	return err
}
