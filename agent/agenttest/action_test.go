package agenttest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"conpaas/agent/agenttest"
	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/client/api"
	"conpaas/client/wire/wiretest"
)

// actor is a half with actions. Its value is never shared: each action has one of its own.
type actor struct {
	fragile
	events chan string
}

func (a actor) Perform(ctx context.Context, h *host.Host, n service.Node, roles []api.RoleSpec, call service.ActionCall) error {
	switch call.Action {
	case "load":
		sum := sha256.New()
		size, err := io.Copy(sum, call.In)
		if err != nil {
			a.events <- "broken off: " + err.Error()
			return err
		}
		a.events <- fmt.Sprintf("loaded %d %x on %s with %d roles, new=%s", size, sum.Sum(nil), n.ID, len(roles), call.Params["new"])
		return nil
	case "dump":
		_, err := io.Copy(call.Out, io.LimitReader(zeroes{}, large))
		return err
	case "endless":
		_, _, err := h.Pipe(ctx, host.Command{Path: "/bin/cat", Args: []string{"/dev/zero"}}, nil, call.Out)
		a.events <- "ended"
		return err
	case "wait":
		a.events <- "waits"
		<-ctx.Done()
		a.events <- "ended"
		return ctx.Err()
	case "skip":
		return &service.Skipped{Reason: "there is\na database"}
	case "refuse":
		return errors.New("ERROR 1064 at line 3")
	case "fail":
		if _, err := io.WriteString(call.Out, "half"); err != nil {
			return err
		}
		return errors.New("Lost connection")
	}
	panic("a fault")
}

// large is more than may be in memory.
const large = 200 << 20

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { return len(p), nil }

// acting starts an agent whose half has actions.
func acting(t *testing.T) (*agenttest.Parent, *agenttest.Agent, chan string) {
	t.Helper()
	p := agenttest.NewParent(t, agenttest.ParentOptions{})
	events := make(chan string, 10)
	a := agenttest.Start(t, p, agenttest.Options{Node: "n2", Services: map[api.ServiceType]func() service.Half{
		api.Helloworld: func() service.Half { return actor{events: events} },
	}})
	p.AwaitConnected(t, "n2")
	if _, err := p.Client("n2").Act(t.Context(), p.Epoch(), "load", nil, nil); api.CodeFrom(err) != api.CodeUnavailable {
		t.Errorf("an action before the first spec: %v", err)
	}
	if err := p.Client("n2").PutSpec(t.Context(), p.Epoch(), p.Spec(t, "n2", "Hello", port)); err != nil {
		t.Fatal(err)
	}
	p.AwaitReady(t, "n2", 1)
	return p, a, events
}

// Streams of any length go through both ways, and nothing of them stays in memory.
func TestActionsAreStreams(t *testing.T) {
	p, _, events := acting(t)
	level := wiretest.Measure()
	sum := sha256.New()
	answer, err := p.Client("n2").Act(t.Context(), p.Epoch(), "load", url.Values{"new": {"On"}}, io.TeeReader(io.LimitReader(zeroes{}, large), sum))
	if err != nil {
		t.Fatal(err)
	}
	answer.Close()
	if got, want := <-events, fmt.Sprintf("loaded %d %x on n2 with 1 roles, new=On", large, sum.Sum(nil)); got != want {
		t.Errorf("it has %s; want %s", got, want)
	}
	if answer, err = p.Client("n2").Act(t.Context(), p.Epoch(), "dump", nil, nil); err != nil {
		t.Fatal(err)
	}
	defer answer.Close()
	if n, err := io.Copy(io.Discard, answer); err != nil || n != large {
		t.Errorf("%d bytes came, %v", n, err)
	}
	level.Returned(t)
}

// What comes of an action reaches the caller: nothing was done, it was refused, it has failed before or behind its first byte.
func TestOutcomesOfActions(t *testing.T) {
	p, _, _ := acting(t)
	for action, want := range map[string]struct {
		text, skipped, says string
		code                api.Code
	}{
		"skip":    {skipped: "there is a database"},
		"refuse":  {code: api.CodeConflict, says: "ERROR 1064"},
		"fail":    {text: "half", code: api.CodeConflict, says: "Lost connection"},
		"unknown": {code: api.CodeConflict, says: "a fault of the agent"},
	} {
		answer, err := p.Client("n2").Act(t.Context(), p.Epoch(), action, nil, nil)
		var text []byte
		skipped := ""
		if err == nil {
			skipped = answer.Header.Get(api.HeaderSkipped)
			text, err = io.ReadAll(answer)
			answer.Close()
		}
		if string(text) != want.text || skipped != want.skipped || api.CodeFrom(err) != want.code || want.says != "" && !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %q, %q, %v", action, text, skipped, err)
		}
	}
}

// One action at a time; it ends with its caller, with the connection and with the agent, and so do its programs.
func TestActionsEndWithTheirCaller(t *testing.T) {
	p, a, events := acting(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	act := func(ctx context.Context, action string) {
		answer, err := p.Client("n2").Act(ctx, p.Epoch(), action, nil, nil)
		if err == nil {
			_, err = io.Copy(io.Discard, answer)
			answer.Close()
		}
		done <- err
	}
	go act(ctx, "wait")
	if e := <-events; e != "waits" {
		t.Fatal(e)
	}
	if _, err := p.Client("n2").Act(t.Context(), p.Epoch(), "dump", nil, nil); api.CodeFrom(err) != api.CodeThrottled {
		t.Errorf("a second action: %v", err)
	}
	cancel()
	if err, e := <-done, <-events; err == nil || e != "ended" {
		t.Errorf("the caller left: %v, %s", err, e)
	}
	// A reader that takes only the first bytes.
	var answer io.ReadCloser
	for answer == nil { // the place of the one before is free a moment after its end
		got, err := p.Client("n2").Act(t.Context(), p.Epoch(), "endless", nil, nil)
		if err == nil {
			answer = got
		} else if api.CodeFrom(err) != api.CodeThrottled {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadFull(answer, make([]byte, 1<<20)); err != nil {
		t.Error(err)
	}
	answer.Close()
	if e := <-events; e != "ended" {
		t.Error(e)
	}
	// Half of an input is never a whole one.
	in, feed := io.Pipe()
	go func() {
		_, _ = io.CopyN(feed, zeroes{}, 5<<20)
		feed.CloseWithError(errors.New("torn"))
	}()
	for {
		if _, err := p.Client("n2").Act(t.Context(), p.Epoch(), "load", nil, in); api.CodeFrom(err) != api.CodeThrottled {
			if e := <-events; err == nil || !strings.HasPrefix(e, "broken off") {
				t.Errorf("half of an input: %v, %s", err, e)
			}
			break
		}
	}
	for code := api.CodeThrottled; code == api.CodeThrottled; {
		go act(t.Context(), "wait")
		select {
		case <-events:
			code = ""
		case err := <-done:
			code = api.CodeFrom(err)
		}
	}
	a.Stop(t)
	if err, e := <-done, <-events; err == nil || e != "ended" {
		t.Errorf("the agent ended: %v, %s", err, e)
	}
}
