package daemon

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// Trace has the id of the request that has caused the work under way; there may be none. The newest counts. It may be
// used by several goroutines; the zero value has none.
type Trace struct{ id atomic.Pointer[string] }

// Set says that a request has caused what follows; "" is none.
func (t *Trace) Set(id string) {
	if id == "" {
		t.id.Store(nil)
		return
	}
	t.id.Store(&id)
}

// ID gives the request, "" where there is none.
func (t *Trace) ID() string {
	if id := t.id.Load(); id != nil {
		return *id
	}
	return ""
}

// End says that what a request has caused is done, unless a newer one has been set meanwhile.
func (t *Trace) End(id string) {
	if now := t.id.Load(); now != nil && *now == id {
		t.id.CompareAndSwap(now, nil)
	}
}

// Logger gives a logger whose lines carry the request that there is when they are written.
func (t *Trace) Logger(log *slog.Logger) *slog.Logger { return slog.New(tracing{log.Handler(), t}) }

type tracing struct {
	slog.Handler
	trace *Trace
}

func (h tracing) Handle(ctx context.Context, r slog.Record) error {
	if id := h.trace.ID(); id != "" {
		r = r.Clone()
		r.AddAttrs(slog.String(KeyRequest, id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h tracing) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracing{h.Handler.WithAttrs(attrs), h.trace}
}

func (h tracing) WithGroup(name string) slog.Handler {
	return tracing{h.Handler.WithGroup(name), h.trace}
}
