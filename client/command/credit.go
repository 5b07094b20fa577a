package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// newUserCreditCommands gives the commands about what users have and spend.
func newUserCreditCommands(g *Global) []*cobra.Command {
	return []*cobra.Command{newUserGetCreditCommand(g), newUserAddCreditCommand(g), newUserCreditHistoryCommand(g)}
}

func newUserGetCreditCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:   "get-credit [USER]",
		Short: "Show what a user has and spends: oneself, or for an administrator anyone",
		Long: `One credit pays for one machine, managers too, for one hour that has begun. When an hour cannot be paid,
all applications of the user are stopped; code, settings and secrets are kept.`,
		Example: "cps user get-credit\ncps user get-credit alice -o json",
		Args:    words("[USER]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			ref := userArgument(args)
			credit, err := c.Credit(ctx, ref)
			if err != nil {
				return fmt.Errorf("show the credit of user %q: %w", ref, err)
			}
			return g.show(credit, func() error {
				return ui.Fields{
					{Name: "User", Value: credit.User},
					{Name: "Credit", Value: credits(credit)},
					{Name: "Machines", Value: strconv.Itoa(credit.Machines)},
					{Name: "Per hour", Value: perHour(credit)},
					{Name: "Lasts until", Value: lastsUntil(credit, time.Now())},
				}.Write(g.out)
			})
		}),
		ValidArgsFunction: g.complete(userNames),
	}
}

// unlimited is shown in place of a balance that nothing is taken from.
const unlimited = "unlimited"

func credits(c api.Credit) string {
	if c.Unlimited {
		return unlimited
	}
	return strconv.FormatInt(c.Balance, 10)
}

func perHour(c api.Credit) string {
	if c.Unlimited {
		return "0"
	}
	return strconv.Itoa(c.Machines)
}

// lastsUntil tells when a credit ends, and in how many hours.
func lastsUntil(c api.Credit, now time.Time) string {
	if c.Ends == nil {
		return ""
	}
	left := max(0, c.Ends.Sub(now)).Round(time.Minute)
	return fmt.Sprintf("%s (in %d h %d min)", at(*c.Ends), left/time.Hour, left%time.Hour/time.Minute)
}

func newUserAddCreditCommand(g *Global) *cobra.Command {
	var reason string
	var taken digits
	cmd := &cobra.Command{
		Use:   "add-credit USER N",
		Short: "Add to a user's credits, or take some",
		Long: `Add N credits to those of a user, as an administrator, or take N with -N. No more is taken than there is.
What stopped for want of credit is started again by its owner: cps application start.`,
		Example: `cps user add-credit alice 100 --reason "order 4711"
cps user add-credit alice -20`,
		Args: words("USER", "[N]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			text := strings.Join(args[1:], "")
			if taken != "" {
				text += "-" + string(taken)
			}
			amount, err := strconv.ParseInt(text, 10, 64)
			if err != nil || amount == 0 {
				return usagef("user add-credit: %q: want a number of credits like 100, or -20 to take some", text)
			}
			changed, err := c.AddCredit(ctx, args[0], api.CreditChange{Amount: amount, Reason: reason})
			if err != nil {
				return fmt.Errorf("add to the credit of user %q: %w", args[0], err)
			}
			note := ""
			if changed.Entry.Amount != amount {
				note = fmt.Sprintf(" There were only %d to take.", -changed.Entry.Amount)
			}
			if changed.Unlimited {
				note += " Its machines cost nothing while it is an administrator."
			}
			return g.say(changed, "User %q has %d credits.%s", changed.User, changed.Balance, note)
		}),
		ValidArgsFunction: g.complete(userNames),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "`text` for the history")
	for digit := range 10 {
		name := strconv.Itoa(digit)
		flag := cmd.Flags().VarPF(&taken, name, name, "")
		flag.NoOptDefVal, flag.Hidden = name, true
	}
	return cmd
}

// digits collects those of a negative number, which is written like a row of short flags.
type digits string

// String gives what was collected.
func (d *digits) String() string { return string(*d) }

// Set adds a digit.
func (d *digits) Set(digit string) error {
	*d += digits(digit)
	return nil
}

// Type is what help calls the value.
func (d *digits) Type() string { return "digit" }

func newUserCreditHistoryCommand(g *Global) *cobra.Command {
	var application, node string
	var perNode bool
	cmd := &cobra.Command{
		Use:   "credit-history [USER]",
		Short: "Show every change of a user's credit, or what each node has cost",
		Long: `Show every change of the credit of oneself, or for an administrator of anyone: the first credits, what
administrators added or took, the hours of machines, and refunds. With --nodes one line per node with its sum.
An administrator names a user who is deleted by the id, and everybody an application that is deleted by its id.`,
		Example: `cps user credit-history
cps user credit-history alice --application shop
cps user credit-history --node n12
cps user credit-history --nodes`,
		Args: words("[USER]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			ref := userArgument(args)
			if perNode {
				nodes, err := c.NodeCredits(ctx, ref, application, api.NodeID(node))
				if err != nil {
					return fmt.Errorf("show the credit of user %q: %w", ref, err)
				}
				return g.show(nodes, func() error { return nodeCredits(nodes).Write(g.out) })
			}
			entries, err := c.CreditEntries(ctx, ref, application, api.NodeID(node))
			if err != nil {
				return fmt.Errorf("show the credit of user %q: %w", ref, err)
			}
			return g.show(entries, func() error { return creditEntries(entries).Write(g.out) })
		}),
		ValidArgsFunction: g.complete(userNames),
	}
	flags := cmd.Flags()
	flags.StringVar(&application, "application", "", "of this `application` only")
	flags.StringVar(&node, "node", "", "of this `node` only")
	flags.BoolVar(&perNode, "nodes", false, "what each node has cost")
	register(cmd, "application", g.complete(applicationNames))
	return cmd
}

func creditEntries(entries []api.CreditEntry) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "time"},
		{Name: "what"},
		{Name: "amount", Right: true},
		{Name: "left", Right: true},
		{Name: "application", Right: true, Optional: true},
		{Name: "node", Optional: true},
		{Name: "hour", Right: true, Optional: true},
		{Name: "by", Optional: true},
		{Name: "reason", Optional: true},
	}}
	for _, e := range entries {
		app, hour := "", ""
		if e.Node != "" {
			app, hour = e.Application.String(), strconv.Itoa(e.Hour)
		}
		t.Rows = append(t.Rows, []string{
			at(e.Time), string(e.Kind), fmt.Sprintf("%+d", e.Amount), strconv.FormatInt(e.Balance, 10), app, string(e.Node), hour, e.By, e.Reason,
		})
	}
	return t
}

func nodeCredits(nodes []api.NodeCredit) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "node"}, {Name: "application", Right: true}, {Name: "service", Right: true}, {Name: "hours", Right: true}, {Name: "credits", Right: true}, {Name: "first"}, {Name: "last"},
	}}
	for _, n := range nodes {
		service := "manager"
		if n.Service != 0 {
			service = n.Service.String()
		}
		t.Rows = append(t.Rows, []string{
			string(n.Node), n.Application.String(), service, strconv.Itoa(n.Hours), strconv.FormatInt(n.Credits, 10), at(n.First), at(n.Last),
		})
	}
	return t
}

// creditFlag lets a new user ask for credits.
func creditFlag(cmd *cobra.Command, in *api.UserCreate) {
	cmd.Flags().Func("credit", "`credits` to begin with (default: what the installation gives)", func(text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("want a whole number of credits from 0 on")
		}
		in.Credit = &n
		return nil
	})
}

// listedUser is a user with what it has to spend.
type listedUser struct {
	api.User
	Credit api.Credit `json:"credit"`
}

func listUsers(ctx context.Context, c *director.Client) ([]listedUser, error) {
	users, err := c.Users(ctx)
	if err != nil {
		return nil, err
	}
	all, err := c.Credits(ctx)
	if err != nil {
		return nil, err
	}
	of := make(map[api.UserID]api.Credit, len(all))
	for _, credit := range all {
		of[credit.ID] = credit
	}
	listed := make([]listedUser, len(users))
	for i, u := range users {
		listed[i] = listedUser{User: u, Credit: of[u.ID]}
	}
	return listed, nil
}
