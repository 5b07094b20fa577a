package api

import (
	"errors"
	"regexp"
	"testing"
)

// A name is one that the words of CheckName describe, and nothing else.
func FuzzCheckName(f *testing.F) {
	for _, name := range []string{"shop", "a b", "a  b", "a ", "1a", "", "é", "a\x00", "a/b", "a.b-c_d"} {
		f.Add(name)
	}
	good := regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]*( [A-Za-z0-9_.-]+)*$`)
	f.Fuzz(func(t *testing.T, name string) {
		err := CheckName(name)
		if want := len(name) <= NameMax && good.MatchString(name); (err == nil) != want || err != nil && !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	})
}
