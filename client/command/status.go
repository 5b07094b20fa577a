package command

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// What status warns of.
const (
	recent      = 24 * time.Hour      // alarms of this time
	quiet       = 10 * time.Minute    // an operation without a step for so long is stuck
	renewInTime = 90 * 24 * time.Hour // a certificate authority that ends within this time
	expiring    = 30 * 24 * time.Hour // a certificate of the user that ends within this time
)

// overview is what status shows.
type overview struct {
	Director     string              `json:"director"`
	User         string              `json:"user"`
	Applications []applicationStatus `json:"applications"`
	Credit       api.Credit          `json:"credit"`
	Warnings     []warning           `json:"warnings"`
}

// applicationStatus is an application with its machines, by their state.
type applicationStatus struct {
	api.Application
	Nodes map[api.NodeState]int `json:"nodes"`
}

// warning is one thing that somebody should look at.
type warning struct {
	Time        time.Time `json:"time"` // since when
	Application string    `json:"application,omitempty"`
	About       string    `json:"about,omitempty"`
	Text        string    `json:"text"`
}

func newStatusCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show on one screen how everything stands",
		Long: `Show the applications with their machines, and what to look at: what is in error, alarms of the last day,
operations that have done nothing for ten minutes, certificates of yours that end within 30 days, a credit that ends
within six hours and, for administrators, a certificate authority that ends within 90 days.`,
		Example: `cps status
cps status -o json`,
		Args: words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			o, err := look(ctx, c, time.Now())
			if err != nil {
				return fmt.Errorf("show how everything stands: %w", err)
			}
			return g.show(o, func() error { return g.showOverview(o) })
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

func look(ctx context.Context, c *director.Client, now time.Time) (overview, error) {
	me, err := c.Me(ctx)
	if err != nil {
		return overview{}, err
	}
	o := overview{Director: c.URL(), User: me.Name, Applications: []applicationStatus{}, Warnings: []warning{}}
	apps, err := c.Applications(ctx)
	if err != nil {
		return overview{}, fmt.Errorf("list the applications: %w", err)
	}
	names := map[api.ApplicationID]string{}
	for _, a := range apps {
		names[a.ID] = reference(a)
		if err := o.addApplication(ctx, c, a, now); err != nil && api.CodeFrom(err) != api.CodeNotFound { // else it is deleted since
			return overview{}, fmt.Errorf("application %q: %w", a.Name, err)
		}
	}
	operations, err := c.Operations(ctx, "")
	if err != nil {
		return overview{}, fmt.Errorf("list the operations: %w", err)
	}
	for _, op := range operations {
		if last := lastStep(op); !op.State.Final() && now.Sub(last) > quiet {
			o.Warnings = append(o.Warnings, warning{
				Time: last, Application: names[op.Application], About: "operation " + string(op.ID),
				Text: fmt.Sprintf("%s has made no step since; it stands at: %s", op.Kind, op.Progress),
			})
		}
	}
	if err := o.addCertificates(ctx, c, now); err != nil {
		return overview{}, err
	}
	if o.Credit, err = c.Credit(ctx, director.Self); err != nil {
		return overview{}, fmt.Errorf("show the credit: %w", err)
	}
	if o.Credit.Low {
		o.Warnings = append(o.Warnings, warning{Time: now, About: "credit", Text: fmt.Sprintf(
			"%d left for %d machines, until %s; then the applications stop; an administrator can add some: cps user add-credit %s N",
			o.Credit.Balance, o.Credit.Machines, lastsUntil(o.Credit, now), me.Name)})
	}
	if me.Role == api.RoleAdmin {
		err = o.addAuthorities(ctx, c, now)
	}
	slices.SortStableFunc(o.Warnings, func(a, b warning) int { return a.Time.Compare(b.Time) })
	return o, err
}

// lastStep is when an operation has last done something.
func lastStep(op api.Operation) time.Time {
	if n := len(op.Steps); n > 0 {
		return op.Steps[n-1].Time
	}
	return op.Created
}

func (o *overview) addApplication(ctx context.Context, c *director.Client, a api.Application, now time.Time) error {
	id := a.ID.String()
	nodes, err := c.Nodes(ctx, id)
	if err != nil {
		return fmt.Errorf("list the nodes: %w", err)
	}
	services, err := c.Services(ctx, id)
	if err != nil {
		return fmt.Errorf("list the services: %w", err)
	}
	events, err := c.ApplicationEvents(ctx, id, 0)
	if err != nil {
		return fmt.Errorf("list the events: %w", err)
	}
	row := applicationStatus{a, map[api.NodeState]int{}}
	for _, n := range nodes {
		row.Nodes[n.State]++
	}
	o.Applications = append(o.Applications, row)
	if a.State == api.StateError {
		o.Warnings = append(o.Warnings, warning{Time: a.Since, Application: reference(a), Text: "in error: " + a.Reason})
	}
	for _, s := range services {
		if s.State == api.StateError {
			o.Warnings = append(o.Warnings, warning{Time: s.Since, Application: reference(a), About: "service " + s.ID.String(), Text: "in error: " + s.Reason})
		}
	}
	for _, e := range events {
		if e.Alarm && now.Sub(e.Time) < recent {
			o.Warnings = append(o.Warnings, warning{Time: e.Time, Application: reference(a), About: about(e), Text: e.Text})
		}
	}
	return nil
}

// addCertificates warns of what ends soon and has not been renewed, by name.
func (o *overview) addCertificates(ctx context.Context, c *director.Client, now time.Time) error {
	list, err := c.UserCertificates(ctx, director.Self)
	if err != nil {
		return fmt.Errorf("list the certificates: %w", err)
	}
	newest := map[string]time.Time{}
	for _, v := range list {
		if v.Expires.After(newest[v.Name]) {
			newest[v.Name] = v.Expires
		}
	}
	for _, name := range slices.Sorted(maps.Keys(newest)) {
		if ends := newest[name]; ends.Sub(now) < expiring {
			o.Warnings = append(o.Warnings, warning{
				Time: now, About: "certificate",
				Text: fmt.Sprintf("your certificate %q ends at %s; renew it where it is used: cps user renew-certificate", name, at(ends)),
			})
		}
	}
	return nil
}

func (o *overview) addAuthorities(ctx context.Context, c *director.Client, now time.Time) error {
	state, err := c.CA(ctx)
	if err != nil {
		return fmt.Errorf("show the certificate authorities: %w", err)
	}
	for _, a := range state.Authorities {
		if a.Signs && a.Ends.Sub(now) < renewInTime {
			o.Warnings = append(o.Warnings, warning{
				Time: now, About: "certificates",
				Text: fmt.Sprintf("the authority %s ends at %s; replace it with: cps ca rotate", a.Fingerprint, at(a.Ends)),
			})
		}
	}
	return nil
}

func (g *Global) showOverview(o overview) error {
	if err := (ui.Fields{{Name: "Director", Value: o.Director}, {Name: "User", Value: o.User}, {Name: "Credit", Value: credits(o.Credit)}}).Write(g.out); err != nil {
		return err
	}
	apps := ui.Table{Columns: []ui.Column{{Name: "id", Right: true}, {Name: "application"}, {Name: "owner", Optional: true}, {Name: "state", Color: colorOf}, {Name: "services", Right: true}, {Name: "nodes"}}}
	for _, a := range o.Applications {
		var nodes []string
		for _, state := range slices.Sorted(maps.Keys(a.Nodes)) {
			nodes = append(nodes, fmt.Sprintf("%d %s", a.Nodes[state], state))
		}
		apps.Rows = append(apps.Rows, []string{a.ID.String(), a.Name, sharer(a.Application), string(a.State), fmt.Sprint(a.Services), strings.Join(nodes, ", ")})
	}
	fmt.Fprintln(g.out)
	if err := apps.Write(g.out); err != nil {
		return err
	}
	fmt.Fprintln(g.out)
	if len(o.Warnings) == 0 {
		_, err := fmt.Fprintln(g.out, "Nothing to warn of.")
		return err
	}
	warnings := ui.Table{Columns: []ui.Column{
		{Name: "since"},
		{Name: "application", Optional: true},
		{Name: "about", Optional: true},
		{Name: "warning", Color: func(string) ui.Color { return ui.Warning }},
	}}
	for _, w := range o.Warnings {
		warnings.Rows = append(warnings.Rows, []string{at(w.Time), w.Application, w.About, w.Text})
	}
	return warnings.Write(g.out)
}
