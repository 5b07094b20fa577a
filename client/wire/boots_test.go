package wire

import (
	"net"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"pgregory.net/rapid"
)

// yamuxClientOf is the far end of a session for tests.
func yamuxClientOf(conn net.Conn, log *logBook) (*yamux.Session, error) {
	return yamux.Server(conn, muxConfig(log.logger()))
}

func TestBoots(t *testing.T) {
	type step struct {
		after     time.Duration
		id        string
		connected bool
		want      bootVerdict
	}
	const second = time.Second
	for name, steps := range map[string][]step{
		"reconnects":            {{0, "A", false, bootAdmitted}, {second, "A", false, bootAdmitted}, {second, "A", true, bootAdmitted}},
		"reboots":               {{0, "A", false, bootAdmitted}, {second, "B", true, bootAdmitted}, {second, "C", false, bootAdmitted}},
		"turns":                 {{0, "A", false, bootAdmitted}, {second, "B", true, bootAdmitted}, {second, "A", true, bootCloned}},
		"turns of three":        {{0, "A", false, bootAdmitted}, {second, "B", true, bootAdmitted}, {second, "C", true, bootAdmitted}, {second, "A", true, bootCloned}},
		"turns after long time": {{0, "A", false, bootAdmitted}, {24 * time.Hour, "B", true, bootAdmitted}, {second, "A", true, bootCloned}},
		"slow turns":            {{0, "A", false, bootAdmitted}, {second, "B", false, bootAdmitted}, {bootWindow + second, "A", false, bootAdmitted}},
		"quarantine": {
			{0, "A", false, bootAdmitted},
			{0, "B", true, bootAdmitted},
			{0, "A", true, bootCloned},
			{quarantine - second, "A", false, bootQuarantined},
			{0, "B", false, bootQuarantined},
			{0, "C", false, bootQuarantined},
			{second, "A", false, bootAdmitted},
			{second, "B", true, bootAdmitted},
			{second, "A", true, bootCloned},
		},
	} {
		t.Run(name, func(t *testing.T) {
			book, now := bootBook{}, time.Unix(1e9, 0)
			for i, s := range steps {
				now = now.Add(s.after)
				if got := book.admit(now, "n1", s.id, s.connected); got != s.want {
					t.Fatalf("step %d, boot %s: got %v, want %v", i, s.id, got, s.want)
				}
			}
		})
	}
}

func TestBootLeftCounts(t *testing.T) {
	book, now := bootBook{}, time.Unix(1e9, 0)
	book.admit(now, "n1", "A", false)
	now = now.Add(24 * time.Hour)
	book.left(now, "n1", "A")
	book.left(now, "unknown", "A")
	book.admit(now.Add(time.Second), "n1", "B", false)
	if got := book.admit(now.Add(2*time.Second), "n1", "A", true); got != bootCloned {
		t.Errorf("got %v", got)
	}
}

// A child whose boots are each new is never refused; the book stays bounded.
func TestBootsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book, now := bootBook{}, time.Unix(1e9, 0)
		id := 0
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "seconds")) * time.Second)
			id += rapid.IntRange(0, 1).Draw(t, "reboot")
			if got := book.admit(now, "n1", string(rune('a'+id)), rapid.Bool().Draw(t, "connected")); got != bootAdmitted {
				t.Fatalf("boot %d got %v", id, got)
			}
			if n := len(book["n1"].seen); n > bootsKept {
				t.Fatalf("%d boots are kept", n)
			}
		}
	})
}

func TestBootBookIsPruned(t *testing.T) {
	book, now := bootBook{}, time.Unix(1e9, 0)
	for i := range childrenOf {
		book.admit(now, "n"+string(rune('a'+i)), "A", false)
	}
	book.admit(now.Add(bootWindow+time.Second), "late", "A", false)
	if len(book) != 1 {
		t.Errorf("%d children are kept", len(book))
	}
}
