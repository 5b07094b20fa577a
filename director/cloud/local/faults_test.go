package local_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
)

// troubled starts a process cloud with a schedule.
func troubled(t *testing.T, schedule string) *local.Cloud {
	t.Helper()
	return start(t, configuration(t, map[string]string{"RUNTIME": local.RuntimeProcess, "FAULTS": schedule}))
}

// tokens gives the tokens of a list.
func tokens(list []cloud.Machine) string {
	var names []string
	for _, m := range list {
		names = append(names, m.Token)
	}
	return strings.Join(names, " ")
}

// TestFaultKinds: a call that is told to fail does nothing, says its kind and its rule, and the next one works.
func TestFaultKinds(t *testing.T) {
	t.Parallel()
	l := troubled(t, "launch:1:capacity,describe:1:auth,list:1:throttled,terminate:1:transient,console:1:quota,publish:1:permanent")
	spec := cloud.Spec{Token: "n1-1", UserData: userData()}
	_, err := l.Launch(t.Context(), spec)
	if cloud.KindOf(err) != cloud.KindCapacity || !strings.Contains(err.Error(), "launch:1:capacity") {
		t.Errorf("launch: %v", err)
	}
	if list, err := l.List(t.Context()); cloud.KindOf(err) != cloud.KindThrottled {
		t.Errorf("list: %v, %v", list, err)
	}
	if list, err := l.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("the failed launch made %v, %v", list, err)
	}
	m, err := l.Launch(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	_, describe := l.Describe(t.Context(), m)
	_, console := l.Console(t.Context(), m)
	_, publish := l.Publish(t.Context(), m, []uint16{80})
	terminate := l.Terminate(t.Context(), m)
	for _, c := range []struct {
		err  error
		want cloud.Kind
	}{{describe, cloud.KindAuth}, {console, cloud.KindQuota}, {publish, cloud.KindPermanent}, {terminate, cloud.KindTransient}} {
		if cloud.KindOf(c.err) != c.want {
			t.Errorf("%v, want kind %s", c.err, c.want)
		}
	}
	if seen, err := l.Describe(t.Context(), m); err != nil || seen.State != cloud.StateRunning {
		t.Errorf("the machine is %+v, %v", seen, err)
	}
}

// TestFaultAfterSuccess: the machine exists although launch failed, and its token gives it.
func TestFaultAfterSuccess(t *testing.T) {
	t.Parallel()
	l := troubled(t, "launch:1:timeout-after-success,terminate:1:timeout-after-success")
	spec := cloud.Spec{Token: "n1-1", UserData: userData()}
	id, err := l.Launch(t.Context(), spec)
	if id != "" || cloud.KindOf(err) != cloud.KindTransient {
		t.Errorf("launch: %q, %v", id, err)
	}
	list, err := l.List(t.Context())
	if err != nil || tokens(list) != "n1-1" {
		t.Fatalf("list: %v, %v", list, err)
	}
	if id, err := l.Launch(t.Context(), spec); err != nil || id != list[0].ID {
		t.Errorf("launch again: %q, %v", id, err)
	}
	if err := l.Terminate(t.Context(), list[0].ID); cloud.KindOf(err) != cloud.KindTransient {
		t.Errorf("terminate: %v", err)
	}
	if list, err := l.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
}

// TestFaultLists: lists that fail, lie, lag behind a launch, and lag behind an end.
func TestFaultLists(t *testing.T) {
	t.Parallel()
	l := troubled(t, "list:1:empty-error,list:2:empty,list:3:late=1h,list:5:ghost=1h")
	m := launch(t, l, "n1-1")
	if list, err := l.List(t.Context()); len(list) != 0 || cloud.KindOf(err) != cloud.KindTransient {
		t.Errorf("empty-error: %v, %v", list, err)
	}
	for _, effect := range []string{"empty", "late"} {
		if list, err := l.List(t.Context()); list == nil || len(list) != 0 || err != nil {
			t.Errorf("%s: %v, %v", effect, list, err)
		}
	}
	if list, err := l.List(t.Context()); tokens(list) != "n1-1" || err != nil {
		t.Errorf("no effect: %v, %v", list, err)
	}
	if err := l.Terminate(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	if list, err := l.List(t.Context()); len(list) != 1 || list[0] != m || err != nil {
		t.Errorf("ghost: %v, %v", list, err)
	}
	if list, err := l.List(t.Context()); len(list) != 0 || err != nil {
		t.Errorf("no effect: %v, %v", list, err)
	}
}

// TestFaultDelay: a delayed call can be cancelled meanwhile and has then done nothing.
func TestFaultDelay(t *testing.T) {
	t.Parallel()
	l := troubled(t, "launch:*:delay=1h")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if _, err := l.Launch(ctx, cloud.Spec{Token: "n1-1", UserData: userData()}); cloud.KindOf(err) != cloud.KindTransient {
		t.Errorf("the cancelled launch: %v", err)
	}
	if list, err := l.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
	launch(t, troubled(t, "launch:1:delay=1ms"), "n1-1")
}
