package local_test

import (
	"fmt"
	"testing"
	"time"

	"conpaas/director/cloud"
)

func TestDbgSteps(t *testing.T) {
	c := configuration(t, nil)
	last := time.Now()
	sum := map[string]time.Duration{}
	var order []string
	c.Failpoint = func(p string) {
		if _, ok := sum[p]; !ok {
			order = append(order, p)
		}
		sum[p] += time.Since(last)
		last = time.Now()
	}
	l := start(t, c)
	const n = 20
	for i := range n {
		last = time.Now()
		id, err := l.Launch(t.Context(), cloud.Spec{Token: fmt.Sprintf("n%d-1", i), UserData: program()})
		if err != nil {
			t.Fatal(err)
		}
		last = time.Now()
		if i%2 == 0 {
			l.Terminate(t.Context(), id)
		}
	}
	for _, p := range order {
		fmt.Println(p, sum[p]/n)
	}
}
