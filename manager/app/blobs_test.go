package app

import (
	"slices"
	"testing"
)

func TestLacksAreSaid(t *testing.T) {
	none := State{Revision: 1}
	some := State{Revision: 1, Lacks: []string{"a"}}
	if lines := some.Lines(nil); len(lines) != 1 || !slices.Equal(lines[0].Lacks, some.Lacks) {
		t.Errorf("the first line is %+v", lines)
	}
	if lines := some.Lines(&none); len(lines) != 1 || !slices.Equal(lines[0].Lacks, some.Lacks) {
		t.Errorf("when it begins to lack something it says %+v", lines)
	}
	if lines := some.Lines(&some); lines != nil {
		t.Errorf("without news it says %+v", lines)
	}
	if lines := none.Lines(&some); lines != nil {
		t.Errorf("when nothing lacks any more it says %+v", lines)
	}
}
