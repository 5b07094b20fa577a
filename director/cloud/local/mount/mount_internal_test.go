package mount

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestParse reads lines with and without optional fields and with names that the kernel escapes.
func TestParse(t *testing.T) {
	const text = `22 27 0:21 / /proc rw,relatime - proc proc rw
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue
40 35 0:3 / /a\040b\134c\011d rw - overlay none rw
`
	want := []Mount{{"/proc", "proc", []string{"rw"}}, {"/mnt2", "ext3", []string{"rw", "errors=continue"}}, {"/a b\\c\td", "overlay", []string{"rw"}}}
	if got, err := parse(strings.NewReader(text)); err != nil || !cmp.Equal(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{"22 27 0:21 / /proc rw proc proc rw\n", "22 27 - proc\n", "\n"} {
		if got, err := parse(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, got)
		}
	}
}

func FuzzUnescape(f *testing.F) {
	f.Add(`/a\040b`)
	f.Add(`\`)
	f.Add(`\999\08`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := unescape(s); len(got) > len(s) || !strings.Contains(s, `\`) && got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
