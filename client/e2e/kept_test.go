package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"sync"
	"testing"
	"time"
)

// hang is how long a request may take; one that takes longer counts as failed.
const hang = 10 * time.Second

// kept are visitors who keep one connection each, and send the next request when the last one is answered: a request that
// hangs keeps its visitor from all others, and is found at the latest when the visitors leave.
type kept struct {
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu       sync.Mutex
	visitors [8][]visited
}

// visited is one request that has ended.
type visited struct {
	begun, ended time.Time
	err          error
}

func startKept(t *testing.T, url string) *kept {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	k := &kept{cancel: cancel}
	for i := range k.visitors {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Timeout: 3 * hang, Jar: jar, Transport: &http.Transport{MaxConnsPerHost: 1}}
		k.group.Go(func() {
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				v := visited{begun: time.Now()}
				v.err = request(client, url)
				v.ended = time.Now()
				k.mu.Lock()
				k.visitors[i] = append(k.visitors[i], v)
				k.mu.Unlock()
			}
		})
	}
	return k
}

// allAnswered tells whether every visitor has had an answer to a request that began after a time.
func (k *kept) allAnswered(after time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	waiting := 0
	for _, all := range k.visitors {
		if n := len(all); n == 0 || !lastGood(all).After(after) {
			waiting++
		}
	}
	if waiting > 0 {
		return fmt.Errorf("%d of %d visitors have had no answer since %s", waiting, len(k.visitors), after.Format(time.TimeOnly))
	}
	return nil
}

func lastGood(all []visited) time.Time {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].err == nil {
			return all[i].begun
		}
	}
	return time.Time{}
}

// stop ends the visits. Requests that were under way at the loss of a machine may have failed, and no other; none may have hung.
func (k *kept) stop(t *testing.T, loss time.Time) {
	t.Helper()
	k.cancel()
	k.group.Wait()
	var count, underWay int
	var longest time.Duration
	perSecond := make(map[int]int)
	for i, all := range k.visitors {
		for _, v := range all {
			count++
			took := v.ended.Sub(v.begun)
			longest = max(longest, took)
			if v.err == nil {
				perSecond[int(v.ended.Sub(loss).Seconds()+100)-100]++
			}
			atLoss := v.begun.Before(loss) && v.ended.After(loss)
			if atLoss {
				underWay++
			}
			if took > hang {
				t.Errorf("visitor %d: a request hung for %s (%v), begun %s after the loss", i, took.Round(time.Millisecond), v.err, v.begun.Sub(loss).Round(time.Millisecond))
			} else if v.err != nil && !atLoss {
				t.Errorf("visitor %d: a request begun %s after the loss failed: %v", i, v.begun.Sub(loss).Round(time.Millisecond), v.err)
			}
		}
	}
	var line string
	for s := -5; s < 20; s++ {
		line += fmt.Sprintf(" %d", perSecond[s])
	}
	t.Logf("%d visits, %d under way at the loss, the longest took %s; answers per second from 5 s before it:%s", count, underWay, longest.Round(time.Millisecond), line)
}
