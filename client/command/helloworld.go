package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"conpaas/client/api"
	"conpaas/client/director"

	"github.com/spf13/cobra"
)

func newHelloworldCommand(g *Global) *cobra.Command {
	return group(&cobra.Command{
		Use:   string(api.Helloworld),
		Short: "Commands for services of type helloworld",
		Long: `A service of type helloworld serves one page on each of its machines.

The commands of cps service are here, too, for services of this type only.`,
	}, append(g.inherited(api.Helloworld),
		newHelloworldGetCommand(g),
	)...)
}

func newHelloworldGetCommand(g *Global) *cobra.Command {
	return &cobra.Command{
		Use:     "get APPLICATION SERVICE",
		Aliases: []string{"get-helloworld"},
		Short:   "Fetch the page from every machine of the service",
		Example: `cps helloworld get shop helloworld`,
		Args:    words("APPLICATION", "SERVICE"),
		RunE: g.run(func(ctx context.Context, c *director.Client, args []string) error {
			what := fmt.Sprintf("get the pages of service %q of application %q", args[1], args[0])
			s, err := c.Service(ctx, args[0], args[1])
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			if s.Type != api.Helloworld {
				return usagef("%s: it is of type %s, not %s", what, s.Type, api.Helloworld)
			}
			pages, err := fetchHelloworldPages(ctx, s.Endpoints)
			shown := g.show(pages, func() error {
				for _, p := range pages {
					if _, err := fmt.Fprintf(g.out.Text(), "%s %s\n%s\n", p.Node, p.URL, p.Page); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return shown
		}),
		ValidArgsFunction: g.complete(applicationNames, serviceNames),
	}
}

// helloworldPage is what one machine serves.
type helloworldPage struct {
	Node api.NodeID `json:"node"`
	URL  string     `json:"url"`
	Page string     `json:"page"`
}

func fetchHelloworldPages(ctx context.Context, endpoints []api.Endpoint) ([]helloworldPage, error) {
	pages, problems := []helloworldPage{}, []error{}
	for _, e := range endpoints {
		if e.URL == "" {
			continue
		}
		text, err := fetchHelloworldPage(ctx, e.URL)
		if err != nil {
			problems = append(problems, fmt.Errorf("node %s: %w", e.Node, err))
			continue
		}
		pages = append(pages, helloworldPage{Node: e.Node, URL: e.URL, Page: text})
	}
	if len(pages)+len(problems) == 0 {
		return pages, errors.New("no machine serves a page now; is the service started?")
	}
	return pages, errors.Join(problems...)
}

func fetchHelloworldPage(ctx context.Context, url string) (string, error) {
	const most, patience = 64 << 10, 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	page, err := io.ReadAll(io.LimitReader(answer.Body, most))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return string(page), err
}
