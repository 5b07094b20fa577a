package ui

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressOnATerminalRewritesOneLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		p := NewProgress(Screen{Writer: &out, Live: true}, "start shop")
		p.State("1 booting\x1b[2J")
		time.Sleep(2 * time.Second) // the bubble's clock
		p.Tick()
		p.Step(time.Now(), "node n1 joined")
		p.End()
		got := out.String()
		for _, want := range []string{
			`start shop: 1 booting\x1b[2J (0s)`, "\r\x1b[K" + `start shop: 1 booting\x1b[2J (2s)`, "node n1 joined\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%q is missing in %q", want, got)
			}
		}
		if !strings.HasSuffix(got, "(2s)\r\x1b[K") {
			t.Errorf("the live line is left over: %q", got)
		}
	})
}

func TestProgressElsewhereWritesALinePerChange(t *testing.T) {
	var out bytes.Buffer
	p := NewProgress(Screen{Writer: &out}, "start shop")
	p.State("1 booting")
	p.Tick()
	p.State("1 booting")
	p.Note("connection lost")
	p.State("1 ready")
	p.End()
	want := "start shop: 1 booting\nconnection lost\nstart shop: 1 ready\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestPromptNeedsATerminal(t *testing.T) {
	p := NewPrompt(strings.NewReader("y\n"), Screen{Writer: &bytes.Buffer{}})
	if p.Possible() {
		t.Error("a reader is taken for a terminal")
	}
	if _, err := p.Confirm(context.Background(), "Sure?"); !errors.Is(err, ErrNoTerminal) {
		t.Errorf("got %v, want ErrNoTerminal", err)
	}
}
