package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/manifest"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// manifestOptions are the flags of the commands that read a manifest.
type manifestOptions struct {
	cloud   string
	without []string
	prune   bool
}

func (o *manifestOptions) flags(g *Global, cmd *cobra.Command) {
	g.cloudFlag(cmd, &o.cloud, "the cloud of what the manifest names none for")
	cmd.Flags().StringArrayVar(&o.without, "without", nil, "leave the services of a `TYPE` out; may be repeated")
}

const manifestHelp = `A manifest is a file, JSON or YAML, with a whole application: its services, how many machines they have, their code, settings,
variables, secrets, links, start-up scripts, dumps and volumes. Files in it are of the manifest's folder, or URLs that this computer
fetches. FILE may be a URL, or - for the standard input. See cps help manifests.`

func newApplicationManifestCommand(g *Global) *cobra.Command {
	var o manifestOptions
	cmd := &cobra.Command{
		Use:   "manifest FILE",
		Short: "Make a new application of a manifest",
		Long: `Make a new application of a manifest, and wait until it runs. Where its name is taken it gets a number.

` + manifestHelp,
		Example: `cps application manifest wordpress.json
cps application manifest shop.yaml --cloud ec2`,
		Args: words("FILE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			return g.withManifest(ctx, c, args[0], o, func(d *deployment) error {
				if err := d.freshName(ctx); err != nil {
					return err
				}
				return d.apply(ctx)
			})
		}),
	}
	o.flags(g, cmd)
	return cmd
}

func newApplicationPlanCommand(g *Global) *cobra.Command {
	var o manifestOptions
	cmd := &cobra.Command{
		Use:   "plan FILE",
		Short: "Show what applying a manifest would change",
		Long: `Show the steps that cps application apply would take, and take none. Secrets are masked.

` + manifestHelp,
		Example: `cps application plan shop.yaml
cps application plan shop.yaml --prune -o json`,
		Args: words("FILE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			return g.withManifest(ctx, c, args[0], o, func(d *deployment) error {
				steps, err := d.plan(ctx)
				if err != nil {
					return err
				}
				return g.show(shownSteps(steps), func() error { return stepTable(steps).Write(g.out) })
			})
		}),
	}
	o.flags(g, cmd)
	o.pruneFlag(cmd)
	return cmd
}

func newApplicationApplyCommand(g *Global) *cobra.Command {
	var o manifestOptions
	cmd := &cobra.Command{
		Use:   "apply FILE",
		Short: "Make an application what its manifest says",
		Long: `Make the application that a manifest names what it says, and wait until that is so; where there is none it is made. What the manifest
does not mention stays as it is. The same again changes nothing, and goes on where it was broken off: what is under way is waited
for first.

` + manifestHelp,
		Example: `cps application apply shop.yaml
cps application apply shop.yaml --prune`,
		Args: words("FILE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			return g.withManifest(ctx, c, args[0], o, func(d *deployment) error { return d.apply(ctx) })
		}),
	}
	o.flags(g, cmd)
	o.pruneFlag(cmd)
	return cmd
}

func (o *manifestOptions) pruneFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.prune, "prune", false, "remove services that the manifest does not have")
}

// shownStep is a step as programs see it.
type shownStep struct {
	Service string        `json:"service,omitempty"`
	Step    manifest.Verb `json:"step"`
	Text    string        `json:"text"`
}

func shownSteps(steps []manifest.Step) []shownStep {
	shown := make([]shownStep, len(steps))
	for i, s := range steps {
		shown[i] = shownStep{Service: s.Service, Step: s.Verb, Text: s.Text}
	}
	return shown
}

func stepTable(steps []manifest.Step) ui.Table {
	t := ui.Table{Columns: []ui.Column{{Name: "service"}, {Name: "step"}, {Name: "what"}}}
	for _, s := range steps {
		t.Rows = append(t.Rows, []string{s.Service, string(s.Verb), s.Text})
	}
	return t
}

// deployment is a manifest with its files, about to be applied.
type deployment struct {
	g       *Global
	client  *director.Client
	options manifestOptions
	want    manifest.Manifest
	sources *sources
	kinds   []api.ServiceKind
}

// withManifest reads and checks a manifest and its files, and removes what was fetched in the end.
func (g *Global) withManifest(ctx context.Context, c *director.Client, name string, o manifestOptions, do func(*deployment) error) (err error) {
	d := &deployment{g: g, client: c, options: o}
	var folder string
	if d.want, folder, err = g.readManifest(ctx, name); err != nil {
		return err
	}
	for _, t := range o.without {
		d.want.Without(api.ServiceType(t))
	}
	if o.cloud != "" && d.want.Cloud == "" {
		d.want.Cloud = o.cloud
	}
	if d.kinds, err = c.ServiceTypes(ctx); err != nil {
		return fmt.Errorf("list the service types: %w", err)
	}
	if err := d.want.Check(d.kinds); err != nil {
		return usagef("%s: %w\nServices of a type that the director does not have are left out by --without TYPE", name, err)
	}
	d.sources, err = openSources(ctx, d.want, folder, func(text string) { fmt.Fprintln(g.err, ui.Clean(text)) })
	defer func() { err = errors.Join(err, d.sources.close()) }()
	if err != nil {
		return usagef("%s: %w", name, err)
	}
	return do(d)
}

// mostCopies is the highest number that a name gets.
const mostCopies = 98

// freshName gives the application a name that no other has.
func (d *deployment) freshName(ctx context.Context) error {
	applications, err := d.client.Applications(ctx)
	if err != nil {
		return fmt.Errorf("list the applications: %w", err)
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(applications, func(a api.Application) bool { return strings.EqualFold(a.Name, name) })
	}
	name := d.want.Application
	for n := 2; taken(d.want.Application); n++ {
		if n > mostCopies {
			return failf(exitRefused, "there are %d applications with the name %q already; give it another in the manifest", mostCopies, name)
		}
		d.want.Application = fmt.Sprintf("%.*s-%d", api.NameMax-3, name, n)
	}
	return nil
}

func (d *deployment) plan(ctx context.Context) ([]manifest.Step, error) {
	live, _, err := liveApplication(ctx, d.client, d.want.Application)
	if err != nil {
		return nil, fmt.Errorf("look at application %q: %w", d.want.Application, err)
	}
	if live != nil {
		if text := live.Differs(d.want); text != "" {
			return nil, usagef("the manifest cannot be applied: %s", text)
		}
	}
	return manifest.Plan(live, d.want, d.sources.digests(), d.kinds, d.options.prune), nil
}

// settle waits for what is under way for the application, whoever has begun it: what an apply that was broken off has left is part of
// what this one plans by.
func (d *deployment) settle(ctx context.Context, progress *ui.Progress) error {
	operations, err := d.client.Operations(ctx, d.want.Application)
	if api.CodeFrom(err) == api.CodeNotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the operations of application %q: %w", d.want.Application, err)
	}
	for _, op := range operations {
		if op.State.Final() {
			continue
		}
		what := fmt.Sprintf("operation %s (%s)", op.ID, op.Kind)
		progress.Note(what + " is under way, and waited for first")
		op, err := quietly(d.client, what).follow(ctx, op)
		if err != nil {
			return err
		}
		if err := outcome(what, op); err != nil {
			progress.Note(err.Error()) // the plan has what is to be done again
		}
	}
	return nil
}

func (d *deployment) apply(ctx context.Context) error {
	progress := ui.NewProgress(d.g.err, fmt.Sprintf("application %q", d.want.Application))
	defer progress.End()
	if err := d.settle(ctx, progress); err != nil {
		return err
	}
	steps, err := d.plan(ctx)
	if err != nil {
		return err
	}
	progress.State(fmt.Sprintf("%d steps", len(steps)))
	a := &applier{client: d.client, progress: progress, application: d.want.Application, want: d.want, sources: d.sources}
	if err := a.apply(ctx, steps); err != nil {
		return fmt.Errorf("%w\nThe same command goes on where it has ended: cps application apply", err)
	}
	app, err := d.client.Application(ctx, a.application)
	if err != nil {
		return fmt.Errorf("show application %q: %w", a.application, err)
	}
	progress.End()
	return d.g.say(app, "Application %q is as the manifest says. See where its services are: cps service list %s", app.Name, app.ID)
}
