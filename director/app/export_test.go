package app

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"conpaas/client/api"
)

// All pages are read, and an error in the middle ends what is given.
func TestPages(t *testing.T) {
	broken := errors.New("broken")
	for _, last := range []error{nil, broken} {
		page := func(p Page) (api.List[int], error) {
			n, _ := strconv.Atoi(p.After)
			if n == 2 {
				return api.List[int]{Items: []int{}}, last
			}
			return api.List[int]{Items: []int{10 * n, 10*n + 1}, Next: strconv.Itoa(n + 1)}, nil
		}
		var got []int
		var end error
		for v, err := range pages(page) {
			if end = err; err == nil {
				got = append(got, v)
			}
		}
		if !slices.Equal(got, []int{0, 1, 10, 11}) || !errors.Is(end, last) {
			t.Errorf("got %v and %v, want four items and %v", got, end, last)
		}
	}
}
