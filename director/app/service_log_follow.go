package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"time"

	"conpaas/client/api"
	"conpaas/client/manager"
)

// Bounds of a log of a whole service that is followed.
const (
	mostFollowed  = 256      // logs at one time
	followedLine  = 16 << 10 // a longer line comes in pieces
	followedLook  = 5 * time.Second
	followedRetry = time.Second
)

// merged follows the logs of all machines of a service: their lines one at a time, as they come. A slow reader slows the
// logs down, nothing is kept for it.
type merged struct {
	service string
	row     api.ServiceKind
	kind    api.LogKind
	part    manager.LogRange
	nodes   func(context.Context) ([]api.Node, error)
	log     func(context.Context, api.NodeID, string, manager.LogRange) (io.ReadCloser, error)
	retry   time.Duration // between two tries to follow one log

	out    *io.PipeWriter
	closed context.CancelFunc
	work   sync.WaitGroup
	again  chan struct{} // a log is not followed any more

	mu   sync.Mutex
	open map[string]bool // titles of the logs that are followed now
	last map[string]string
}

// followService gives the logs of a kind of a service as one text that goes on until it is closed, ctx ends or the
// actor may not see the service any more.
func (d *Director) followService(ctx context.Context, a Actor, s api.Service, kind api.LogKind, part manager.LogRange) io.ReadCloser {
	row, _ := api.FindServiceKind(s.Type)
	news, stop := d.feed.watch(applicationKey(s.Application))
	m := &merged{
		service: s.Name, row: row, kind: kind, part: part, retry: followedRetry,
		nodes: func(ctx context.Context) ([]api.Node, error) {
			return d.allServiceNodes(ctx, a, s.Application.String(), s.ID.String())
		},
		log: func(ctx context.Context, id api.NodeID, name string, part manager.LogRange) (io.ReadCloser, error) {
			return d.NodeLog(ctx, a, id, name, part)
		},
	}
	return m.start(ctx, news, stop)
}

// start begins to follow; stop is called in the end.
func (m *merged) start(ctx context.Context, news <-chan struct{}, stop func()) io.ReadCloser {
	m.again = make(chan struct{}, 1)
	m.open, m.last = make(map[string]bool), make(map[string]string)
	in, out := io.Pipe()
	m.out = out
	ctx, m.closed = context.WithCancel(ctx)
	m.work.Go(func() {
		defer stop()
		out.CloseWithError(m.run(ctx, news))
	})
	return &mergedText{PipeReader: in, m: m}
}

// mergedText is the reader's end.
type mergedText struct {
	*io.PipeReader
	m *merged
}

// Close ends the following, and waits for its end.
func (t *mergedText) Close() error {
	t.m.closed()
	err := t.PipeReader.Close()
	t.m.work.Wait()
	return err
}

// run starts to follow what there is and what comes, until ctx ends.
func (m *merged) run(ctx context.Context, news <-chan struct{}) error {
	look := time.NewTicker(followedLook)
	defer look.Stop()
	for {
		if err := m.look(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-news:
		case <-m.again:
		case <-look.C:
		}
	}
}

// look finds the logs that are to be followed and are not.
func (m *merged) look(ctx context.Context) error {
	nodes, err := m.nodes(ctx)
	if err != nil {
		return err
	}
	there := make(map[string]bool)
	for _, n := range nodes {
		if n.State != api.NodeReady && n.State != api.NodeJoined && n.State != api.NodeDraining {
			continue
		}
		for _, name := range logNames(m.row, m.kind, n) {
			there[logTitle(n.ID, name)] = true
			if err := m.begin(ctx, n.ID, name); err != nil {
				return err
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.last, func(title, _ string) bool { return !there[title] && !m.open[title] })
	return nil
}

func logTitle(id api.NodeID, name string) string { return strings.TrimSpace(string(id) + " " + name) }

func (m *merged) begin(ctx context.Context, id api.NodeID, name string) error {
	title := logTitle(id, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open[title] {
		return nil
	}
	if len(m.open) >= mostFollowed {
		return api.Errorf(api.CodeUnsupported, "service %q has more than %d logs, too many to follow; follow those of one machine: cps node log NODE NAME -f", m.service, mostFollowed)
	}
	m.open[title] = true
	m.work.Go(func() {
		m.follow(ctx, id, name, title)
		select { // what breaks at once is not tried at once
		case <-ctx.Done():
		case <-time.After(m.retry):
		}
		m.mu.Lock()
		delete(m.open, title)
		m.mu.Unlock()
		select {
		case m.again <- struct{}{}:
		default: // somebody else has said so
		}
	})
	return nil
}

// follow writes the lines of one log until it breaks off. One that has been followed before goes on with its last line,
// and says that some may be missing.
func (m *merged) follow(ctx context.Context, id api.NodeID, name, title string) {
	m.mu.Lock()
	last, before := m.last[title]
	m.mu.Unlock()
	part := m.part
	if before {
		part.Lines = 1
	}
	text, err := m.log(ctx, id, name, part)
	if err != nil {
		return // the machine has no such log yet, or is not reached now; the next look tries it again
	}
	defer text.Close()
	lines := bufio.NewReaderSize(text, followedLine)
	for {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
		now := strings.TrimSuffix(string(line), "\n")
		gap := ""
		if before {
			before = false
			if now == last {
				continue
			}
			gap = title + ": (it had broken off, lines may be missing)\n"
		}
		if _, err := fmt.Fprintf(m.out, "%s%s: %s\n", gap, title, now); err != nil {
			return
		}
		m.mu.Lock()
		m.last[title] = now
		m.mu.Unlock()
	}
}

// allServiceNodes gives every page of ServiceNodes.
func (d *Director) allServiceNodes(ctx context.Context, a Actor, ref, service string) (nodes []api.Node, err error) {
	for after, more := "", true; more; more = after != "" {
		page, err := d.ServiceNodes(ctx, a, ref, service, Page{After: after})
		if err != nil {
			return nil, err
		}
		nodes, after = append(nodes, page.Items...), page.Next
	}
	return nodes, nil
}
