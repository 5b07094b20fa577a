package php

import "testing"

func TestPatience(t *testing.T) {
	for limit, want := range map[string]int{"1": 60, "30": 60, "31": 61, "300": 330} {
		if got := patience(map[string]string{"max_execution_time": limit}); got != want {
			t.Errorf("a program of %s s may say nothing for %d s, want %d", limit, got, want)
		}
	}
}
