package daemon

import (
	"io"
	"log/slog"
	"time"
)

// The keys under which the lines of all programs name the same things.
const (
	KeyRequest     = "request"
	KeyApplication = "application"
	KeyService     = "service"
	KeyNode        = "node"
	KeyOperation   = "operation"
	KeyRole        = "role"
	KeyError       = "err"
)

// Logger makes a logger that writes lines from level up to w, as text or as JSON, with times in UTC.
func Logger(w io.Writer, level slog.Level, json bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: utc}
	if json {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func utc(groups []string, a slog.Attr) slog.Attr {
	if t, ok := a.Value.Any().(time.Time); ok && len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Time(a.Key, t.UTC())
	}
	return a
}
