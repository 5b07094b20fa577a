package cloud_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/director/cloud"
)

// TestKindOf gives the kinds of errors, wrapped or not, and whether they may pass.
func TestKindOf(t *testing.T) {
	cause := errors.New("out of cores")
	e := &cloud.Error{Kind: cloud.KindCapacity, Cloud: "second", Op: "launch", Text: "no host has room", Err: cause}
	if want := "cloud second: launch: no host has room: out of cores"; e.Error() != want || !errors.Is(e, cause) {
		t.Errorf("the error is %q, want %q", e, want)
	}
	if short := (&cloud.Error{Kind: cloud.KindAuth, Cloud: "c", Op: "list"}).Error(); short != "cloud c: list" {
		t.Errorf("the short error is %q", short)
	}
	for _, c := range []struct {
		err   error
		kind  cloud.Kind
		retry bool
	}{
		{nil, "", false},
		{e, cloud.KindCapacity, true},
		{fmt.Errorf("node n1: %w", e), cloud.KindCapacity, true},
		{&cloud.Error{Kind: cloud.KindQuota}, cloud.KindQuota, false},
		{&cloud.Error{Kind: cloud.KindThrottled}, cloud.KindThrottled, true},
		{&cloud.Error{Kind: cloud.KindNotFound}, cloud.KindNotFound, false},
		{&cloud.Error{Kind: cloud.KindAuth, Err: context.Canceled}, cloud.KindAuth, false},
		{fmt.Errorf("call: %w", context.DeadlineExceeded), cloud.KindTransient, true},
		{context.Canceled, cloud.KindTransient, true},
		{&net.OpError{Op: "dial", Err: cause}, cloud.KindTransient, true},
		{cause, cloud.KindPermanent, false},
	} {
		if k := cloud.KindOf(c.err); k != c.kind || k.Retry() != c.retry {
			t.Errorf("%v is of kind %q, retry %t; want %q, %t", c.err, k, k.Retry(), c.kind, c.retry)
		}
	}
}

// TestComplete fills in defaults, refuses what is missing, and names the nearest option for an unknown one.
func TestComplete(t *testing.T) {
	d := cloud.Driver{Kind: "test", Options: []cloud.Option{
		{Name: "REGION", Default: "eu-west-1"}, {Name: "USER", Required: true, Help: "access key"}, {Name: "PASSWORD", Secret: true},
	}}
	for _, c := range []struct {
		values map[string]string
		want   map[string]string
		says   string
	}{
		{map[string]string{"USER": "a"}, map[string]string{"REGION": "eu-west-1", "USER": "a", "PASSWORD": ""}, ""},
		{map[string]string{"USER": " a ", "REGION": " ", "PASSWORD": "s"}, map[string]string{"REGION": "eu-west-1", "USER": "a", "PASSWORD": "s"}, ""},
		{map[string]string{}, nil, "USER of a cloud of kind test is missing: access key"},
		{map[string]string{"USER": "  "}, nil, "USER"},
		{map[string]string{"USER": "a", "REGIO": "x"}, nil, "no option REGIO; the nearest is REGION"},
		{map[string]string{"USER": "a", "passwort": "hunter2"}, nil, "nearest is PASSWORD"},
		{map[string]string{"USER": "a", "user": "b"}, nil, "no option user"},
	} {
		got, err := d.Complete(c.values)
		if !maps.Equal(got, c.want) || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v gives %v, %v; want %v, %q", c.values, got, err, c.want, c.says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error %q shows a value", err)
		}
	}
	if _, err := (cloud.Driver{Kind: "bare"}).Complete(map[string]string{"X": ""}); err == nil {
		t.Error("a driver without options has option X")
	}
}

// TestNearest: a name with one letter changed, added or lost is taken for the option that it was.
func TestNearest(t *testing.T) {
	names := []string{"SECURITY_GROUP_NAME", "KEY_NAME", "IMAGE_ID", "SIZE_ID", "NETWORK_ID", "REGION"}
	var d cloud.Driver
	for _, n := range names {
		d.Options = append(d.Options, cloud.Option{Name: n})
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "name")
		at := rapid.IntRange(0, len(name)-1).Draw(t, "at")
		letter := rapid.StringMatching(`[0-9]?`).Draw(t, "letter")
		wrong := name[:at] + letter + name[at+rapid.IntRange(0, 1).Draw(t, "lost"):]
		if wrong == name {
			return // nothing was changed
		}
		if _, err := d.Complete(map[string]string{wrong: "x"}); err == nil || !strings.HasSuffix(err.Error(), "nearest is "+name) {
			t.Fatalf("%q gives %v", wrong, err)
		}
	})
}
