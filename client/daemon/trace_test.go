package daemon

import (
	"log/slog"
	"strings"
	"testing"
)

func TestTraceIsOnEveryLineWhileThereIsOne(t *testing.T) {
	var text strings.Builder
	var trace Trace
	log := trace.Logger(Logger(&text, slog.LevelInfo, false)).With(KeyApplication, 7)
	line := func() string {
		text.Reset()
		log.Info("x")
		return text.String()
	}
	if got := line(); strings.Contains(got, KeyRequest) {
		t.Errorf("without a request: %s", got)
	}
	trace.Set("r1")
	if got := line(); !strings.Contains(got, "application=7 request=r1") {
		t.Errorf("with a request: %s", got)
	}
	trace.Set("r2")
	trace.End("r1")
	if got := line(); !strings.Contains(got, "request=r2") {
		t.Errorf("the end of an older request has taken away the newer one: %s", got)
	}
	trace.End("r2")
	if got := line(); strings.Contains(got, KeyRequest) {
		t.Errorf("after the end: %s", got)
	}
}
