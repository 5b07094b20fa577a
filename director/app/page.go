package app

import (
	"slices"
	"strconv"

	"conpaas/client/api"
	"conpaas/director/store"
)

// Page says which part of a list is wanted.
type Page struct {
	After string // Next of the page before; "": from the beginning
	Limit int    // at most so many; 0: as many as the store gives
}

var errCursor = api.InField("query.after", "want what the page before gave as next")

// numbers gives the page of a list whose cursors are numbers.
func (p Page) numbers() (store.Page, error) {
	page := store.Page{Limit: p.Limit}
	if p.After == "" {
		return page, nil
	}
	n, err := strconv.ParseInt(p.After, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != p.After {
		return store.Page{}, errCursor
	}
	page.After = n
	return page, nil
}

func cursor(next int64) string {
	if next == 0 {
		return ""
	}
	return strconv.FormatInt(next, 10)
}

// pageOf gives a page of a list that is all in memory and does not change; name is the cursor behind an item.
func pageOf[T any](all []T, p Page, name func(T) string) (api.List[T], error) {
	if p.After != "" {
		i := slices.IndexFunc(all, func(v T) bool { return name(v) == p.After })
		if i < 0 {
			return api.List[T]{}, errCursor
		}
		all = all[i+1:]
	}
	list := api.List[T]{Items: all}
	if most := (store.Page{Limit: p.Limit}).Most(); len(all) > most {
		list.Items, list.Next = all[:most], name(all[most-1])
	}
	return list, nil
}

// converted gives what to makes of each.
func converted[A, B any](from []A, to func(A) B) []B {
	out := make([]B, len(from))
	for i, v := range from {
		out[i] = to(v)
	}
	return out
}
