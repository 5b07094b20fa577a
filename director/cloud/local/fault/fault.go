// Package fault reads schedules of troubles that a local cloud is told to make, so that tests see what real clouds do.
//
// A schedule is a comma-separated list; an empty one makes no trouble:
//
//	schedule = [ item { "," item } ]
//	item     = "seed=" number                     seed of the percentages, 1 when absent
//	         | operation ":" when ":" effect
//	operation= "launch" | "describe" | "list" | "terminate" | "console" | "publish" | "images" | "add-image" |
//	           "remove-image" | "create-volume" | "volumes" | "attach-volume" | "detach-volume" | "remove-volume"
//	when     = "*"                                each call
//	         | number                             that call, counted from 1 for each operation
//	         | number "+"                         that call and all after it
//	         | number "-" number                  these calls
//	         | number "%"                         each call with this chance, by the seed
//	effect   = "quota" | "capacity" | "auth" | "throttled" | "not-found" | "transient" | "permanent"
//	                                              the call fails with this kind and does nothing
//	         | "delay=" duration                  the call begins later
//	         | "timeout-after-success"            the call does its work and then fails as transient
//	         | "empty-error"                      list: an error together with an empty list
//	         | "empty"                            list: an empty list without an error
//	         | "late=" duration                   list: machines younger than this are missing
//	         | "ghost=" duration                  list: machines terminated less than this ago are still there
//
// All effects that apply to one call are combined; of several kinds the first one counts. The same seed and the
// same number of the call always give the same effects, whatever other calls there are.
//
// The package knows nothing of machines: the cloud does what a Fault says.
package fault

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"conpaas/director/cloud"
)

// Fault is the trouble that one call has to make.
type Fault struct {
	Kind   cloud.Kind    // "" where the call works
	Rule   string        // the item that gives Kind or After
	Delay  time.Duration // before the call
	After  bool          // the error comes after the work is done; Kind is transient then
	Empty  bool          // the list is empty, with an error where Kind is set
	Late   time.Duration // machines younger than this are missing in the list
	Ghosts time.Duration // machines terminated less than this ago are still in the list
}

// Schedule counts calls and gives the trouble of each. The zero value makes none. It may be used by many goroutines.
type Schedule struct {
	seed  uint64
	rules []rule

	mu    sync.Mutex
	calls map[string]int
}

type rule struct {
	text        string
	operation   string
	first, last int     // 0 is no bound
	chance      float64 // of a call, where percent is set
	percent     bool
	effect      func(*Fault)
}

// operations are the calls of a cloud that can have trouble.
var operations = []string{
	"launch", "describe", "list", "terminate", "console", "publish", "images", "add-image", "remove-image",
	"create-volume", "volumes", "attach-volume", "detach-volume", "remove-volume",
}

// Parse reads a schedule. An unknown word is an error.
func Parse(text string) (*Schedule, error) {
	s := &Schedule{seed: 1, calls: map[string]int{}}
	if strings.TrimSpace(text) == "" {
		return s, nil
	}
	for _, item := range strings.Split(text, ",") {
		item = strings.TrimSpace(item)
		if seed, is := strings.CutPrefix(item, "seed="); is {
			n, err := strconv.ParseUint(seed, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("fault %q: the seed must be a number", item)
			}
			s.seed = n
			continue
		}
		r, err := parseRule(item)
		if err != nil {
			return nil, fmt.Errorf("fault %q: %w", item, err)
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

func parseRule(item string) (rule, error) {
	parts := strings.Split(item, ":")
	if len(parts) != 3 {
		return rule{}, fmt.Errorf("it must have the form operation:when:effect, for example launch:3:capacity")
	}
	r := rule{text: item, operation: parts[0]}
	if !slices.Contains(operations, r.operation) {
		return rule{}, fmt.Errorf("unknown operation %q; there are %s", r.operation, strings.Join(operations, ", "))
	}
	if err := r.when(parts[1]); err != nil {
		return rule{}, err
	}
	effect, err := parseEffect(parts[2], r.operation)
	r.effect = effect
	return r, err
}

func (r *rule) when(text string) error {
	wrong := fmt.Errorf("%q must be *, a number from 1, or such as 3+, 2-4 or 10%%", text)
	count := func(s string) int {
		n, err := strconv.ParseUint(s, 10, 31)
		if err != nil {
			return 0
		}
		return int(n)
	}
	if text == "*" {
		return nil
	}
	if p, is := strings.CutSuffix(text, "%"); is {
		n, err := strconv.ParseUint(p, 10, 31)
		if err != nil || n > 100 {
			return wrong
		}
		r.chance, r.percent = float64(n)/100, true
		return nil
	}
	from, is := strings.CutSuffix(text, "+")
	if is {
		r.first = count(from)
	} else if a, b, is := strings.Cut(text, "-"); is {
		r.first, r.last = count(a), count(b)
		if r.last < r.first {
			return wrong
		}
	} else {
		r.first, r.last = count(text), count(text)
	}
	if r.first == 0 {
		return wrong
	}
	return nil
}

func parseEffect(text, operation string) (func(*Fault), error) {
	name, value, timed := strings.Cut(text, "=")
	var d time.Duration
	if timed {
		var err error
		if d, err = time.ParseDuration(value); err != nil || d < 0 {
			return nil, fmt.Errorf("%q is no duration such as 200ms", value)
		}
	}
	onList := operation == "list"
	switch {
	case timed && name == "delay":
		return func(f *Fault) { f.Delay += d }, nil
	case timed && name == "late" && onList:
		return func(f *Fault) { f.Late = max(f.Late, d) }, nil
	case timed && name == "ghost" && onList:
		return func(f *Fault) { f.Ghosts = max(f.Ghosts, d) }, nil
	case text == "timeout-after-success":
		return func(f *Fault) { f.fail(cloud.KindTransient, true) }, nil
	case text == "empty" && onList:
		return func(f *Fault) { f.Empty = true }, nil
	case text == "empty-error" && onList:
		return func(f *Fault) { f.Empty = true; f.fail(cloud.KindTransient, false) }, nil
	}
	kind := cloud.Kind(strings.ReplaceAll(text, "-", "_"))
	kinds := []cloud.Kind{
		cloud.KindQuota, cloud.KindCapacity, cloud.KindAuth, cloud.KindThrottled, cloud.KindNotFound, cloud.KindTransient, cloud.KindPermanent,
	}
	if strings.Contains(text, "_") || !slices.Contains(kinds, kind) {
		return nil, fmt.Errorf("unknown effect %q of %s; see the help of FAULTS", text, operation)
	}
	return func(f *Fault) { f.fail(kind, false) }, nil
}

// fail sets the kind unless an earlier item did.
func (f *Fault) fail(kind cloud.Kind, after bool) {
	if f.Kind == "" {
		f.Kind, f.After = kind, after
	}
}

// Next counts a call and gives its trouble.
func (s *Schedule) Next(operation string) Fault {
	if len(s.rules) == 0 {
		return Fault{}
	}
	s.mu.Lock()
	s.calls[operation]++
	n := s.calls[operation]
	s.mu.Unlock()
	var f Fault
	for i, r := range s.rules {
		if r.operation != operation || n < r.first || r.last > 0 && n > r.last {
			continue
		}
		if r.percent && rand.New(rand.NewPCG(s.seed, uint64(i)<<32|uint64(n))).Float64() >= r.chance {
			continue
		}
		before := f.Kind
		r.effect(&f)
		if f.Kind != before {
			f.Rule = r.text
		}
	}
	return f
}
