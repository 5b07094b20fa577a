package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"conpaas/client/api"
	"conpaas/client/manager"
)

// ServiceLog gives the last lines of the logs of a kind of a service, each line with its node's id and, of what programs
// write, the log's name. The machines are asked one after another as the text is read; where the logs are followed, all
// at once, and lines come as they are written.
func (d *Director) ServiceLog(ctx context.Context, a Actor, ref, service string, kind api.LogKind, part manager.LogRange) (io.ReadCloser, error) {
	s, err := d.Service(ctx, a, ref, service)
	if err != nil {
		return nil, err
	}
	if kinds := []api.LogKind{api.LogAgent, api.LogError, api.LogAccess}; !slices.Contains(kinds, kind) {
		return nil, api.InField("query.kind", "%.40q is no kind of logs; there are: %s, %s, %s", kind, kinds[0], kinds[1], kinds[2])
	}
	if part.Follow {
		return d.followService(ctx, a, s, kind, part), nil
	}
	nodes, err := d.allServiceNodes(ctx, a, ref, service)
	if err != nil {
		return nil, err
	}
	row, _ := api.FindServiceKind(s.Type)
	return io.NopCloser(&paged{next: func(page *bytes.Buffer) bool {
		if len(nodes) == 0 {
			return false
		}
		n := nodes[0]
		nodes = nodes[1:]
		for _, name := range logNames(row, kind, n) {
			title := logTitle(n.ID, name)
			if err := d.prefixedLog(ctx, a, n.ID, name, title, part, page); err != nil {
				fmt.Fprintf(page, "%s: no log: %v\n", title, err)
			}
		}
		return true
	}}), nil
}

// logNames gives the logs of a kind on a machine, by the roles that it has now; "" is the agent's.
func logNames(row api.ServiceKind, kind api.LogKind, n api.Node) []string {
	switch {
	case kind == api.LogAgent:
		return []string{""}
	case len(n.Roles) == 0: // it has not said
		return row.LogNames(kind, []api.Role{n.Role})
	}
	return row.LogNames(kind, n.Roles)
}

// paged is a text that is made page by page.
type paged struct {
	page bytes.Buffer
	next func(*bytes.Buffer) bool // false: there is no more
}

// Read implements io.Reader.
func (p *paged) Read(b []byte) (int, error) {
	for p.page.Len() == 0 {
		p.page.Reset()
		if !p.next(&p.page) {
			return 0, io.EOF
		}
	}
	return p.page.Read(b)
}

func (d *Director) prefixedLog(ctx context.Context, a Actor, id api.NodeID, name, title string, part manager.LogRange, out *bytes.Buffer) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	text, err := d.NodeLog(ctx, a, id, name, part)
	if err != nil {
		return err
	}
	defer text.Close()
	for _, line := range lastLines(text, part.Lines) {
		fmt.Fprintf(out, "%s: %s\n", title, line)
	}
	return nil
}

// lastLines reads a text to its end and gives its last n lines.
func lastLines(text io.Reader, n int) []string {
	var lines []string
	scanner := bufio.NewScanner(io.LimitReader(text, 64<<20))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
		if len(lines) > 2*n {
			lines = append(lines[:0], lines[len(lines)-n:]...)
		}
	}
	return lines[max(0, len(lines)-n):]
}
