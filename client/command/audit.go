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

// auditOptions are the flags that search the audit log.
type auditOptions struct {
	query        director.AuditQuery
	since, until string
}

func newAuditCommand(g *Global) *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Search the audit log: who did or tried what",
		Long: `Show entries of the audit log, the newest last: who changed what, from where, what it was before and after,
and what was refused. Administrators see everything; others see what they did themselves and what was done with
their applications. The log only grows: nobody changes an entry.

Times are such as 2h or 7d (so long ago), or 2026-07-28 or 2026-07-28T15:04:05Z.`,
		Example: `cps audit --since 7d
cps audit --user alice --action delete- --limit 20
cps audit --failed --from 192.0.2.7 -o json`,
		Args: words(),
		RunE: g.run(func(ctx context.Context, c *director.Client, _ []string) error {
			return g.showAudit(ctx, c, "audit", o)
		}),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	o.flags(cmd)
	cmd.Flags().StringVarP(&o.query.Application, "application", "a", "", "only what was done with an `application`; by its id also when it is deleted")
	cmd.Flags().StringVar(&o.query.From, "from", "", "only what came from an `address`")
	register(cmd, "application", g.completeFlag(applicationNames))
	register(cmd, "user", g.completeFlag(userNames))
	return cmd
}

func newApplicationAuditCommand(g *Global) *cobra.Command {
	var o auditOptions
	cmd := &cobra.Command{
		Use:   "audit APPLICATION",
		Short: "Show who did or tried what with an application",
		Example: `cps application audit shop
cps application audit shop --user bob --since 24h`,
		Args: words("APPLICATION"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			o.query.Application = args[0]
			return g.showAudit(ctx, c, "application audit", o)
		}),
		ValidArgsFunction: g.complete(applicationNames),
	}
	o.flags(cmd)
	return cmd
}

func (o *auditOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&o.query.User, "user", "u", "", "only what a `user` did, or for example \"agent n2\"")
	f.StringVar(&o.query.Action, "action", "", "only actions that begin with this `text`, such as start-")
	f.BoolVar(&o.query.Failed, "failed", false, "only what was refused or went wrong")
	f.StringVar(&o.since, "since", "", "only from this `time` on")
	f.StringVar(&o.until, "until", "", "only before this `time`")
	f.IntVar(&o.query.Limit, "limit", 100, "at most so many entries, the newest; 0: all")
}

func (g *Global) showAudit(ctx context.Context, c *director.Client, command string, o auditOptions) error {
	for _, bound := range []struct {
		flag, text string
		to         *time.Time
	}{{"since", o.since, &o.query.Since}, {"until", o.until, &o.query.Until}} {
		if bound.text == "" {
			continue
		}
		var err error
		if *bound.to, err = moment(bound.text, time.Now()); err != nil {
			return usagef("%s: --%s %w", command, bound.flag, err)
		}
	}
	if o.query.Limit < 0 {
		return usagef("%s: --limit %d: want a number of entries, or 0 for all", command, o.query.Limit)
	}
	entries, err := c.Audit(ctx, o.query)
	if err != nil {
		return fmt.Errorf("search the audit log: %w", err)
	}
	return g.show(entries, func() error { return auditTable(entries).Write(g.out) })
}

// moment reads a time: one that is so long ago, a day, or RFC 3339.
func moment(text string, now time.Time) (time.Time, error) {
	if ago, err := days(text); err == nil {
		return now.Add(-ago), nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want a time such as 2h, 7d, 2026-07-28 or 2026-07-28T15:04:05Z", text)
}

func auditTable(entries []api.AuditEntry) ui.Table {
	t := ui.Table{Columns: []ui.Column{
		{Name: "id", Right: true},
		{Name: "time"},
		{Name: "who"},
		{Name: "from", Optional: true},
		{Name: "action"},
		{Name: "object"},
		{Name: "outcome"},
		{Name: "times", Right: true, Optional: true},
		{Name: "changes"},
	}}
	for _, e := range entries {
		var times string
		if e.Count > 1 {
			times = strconv.FormatInt(e.Count, 10)
		}
		what := e.Detail
		if len(e.Changes) > 0 {
			what = changesText(e.Changes)
		}
		t.Rows = append(t.Rows, []string{strconv.FormatInt(e.ID, 10), at(e.Time), e.Who, e.Address, e.Action, e.Object, e.Outcome, times, what})
	}
	return t
}

func changesText(changes []api.AuditChange) string {
	parts := make([]string, len(changes))
	for i, c := range changes {
		switch {
		case c.Before == "":
			parts[i] = c.What + ": " + c.After
		case c.After == "":
			parts[i] = c.What + ": " + c.Before + " -> gone"
		default:
			parts[i] = c.What + ": " + c.Before + " -> " + c.After
		}
	}
	return strings.Join(parts, "; ")
}
