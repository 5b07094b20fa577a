package command

import (
	"context"
	"fmt"
	"time"

	"conpaas/client/director"
	"conpaas/client/ui"

	"github.com/spf13/cobra"
)

// proofs are what opens the account of a user beside its password: its tokens, or its certificates.
type proofs[T any] struct {
	kind string    // for example "token"
	id   ui.Column // which names them
	of   func(c *director.Client, ctx context.Context, user string) ([]T, error)
	show func(T) proof
}

// proof is one of them.
type proof struct {
	id, name         string
	created, expires time.Time
	used             *time.Time // nil: never

	word, hint string // for the completion of commands; "": it is not offered
}

// newListCommand makes the command that lists them.
func (p proofs[T]) newListCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "list [USER]",
		Aliases: []string{"ls"},
		Short:   fmt.Sprintf("List the %ss of oneself, or for an administrator of anyone", p.kind),
		Example: fmt.Sprintf("cps user %s list\ncps user %s list alice -o json", p.kind, p.kind),
		Args:    words("[USER]"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			ref := userArgument(args)
			list, err := p.of(c, ctx, ref)
			if err != nil {
				return fmt.Errorf("list the %ss of user %q: %w", p.kind, ref, err)
			}
			return g.show(list, func() error {
				t := ui.Table{Columns: []ui.Column{p.id, {Name: "name"}, {Name: "created"}, {Name: "expires"}, {Name: "used"}}}
				for _, v := range list {
					one, used := p.show(v), ""
					if one.used != nil {
						used = at(*one.used)
					}
					t.Rows = append(t.Rows, []string{one.id, one.name, at(one.created), at(one.expires), used})
				}
				return t.Write(g.out)
			})
		}),
		ValidArgsFunction: g.complete(userNames),
	}
}

// revokeFlags completes a command that revokes them: of whom is told by a flag.
func (p proofs[T]) revokeFlags(g *Global, cmd *cobra.Command, user *string) {
	cmd.Flags().StringVar(user, "user", director.Self, "whose it is, by `name` or id; for administrators")
	register(cmd, "user", g.completeFlag(userNames))
	cmd.ValidArgsFunction = g.complete(func(ctx context.Context, c *director.Client, _ []string) ([]cobra.Completion, error) {
		list, err := p.of(c, ctx, *user)
		var offered []cobra.Completion
		for _, v := range list {
			if one := p.show(v); one.word != "" {
				offered = append(offered, described(one.word, one.hint))
			}
		}
		return offered, err
	})
}
