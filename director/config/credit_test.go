package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestCreditOfNewUsers(t *testing.T) {
	for text, want := range map[string][2]int64{
		"":                               {50, 50},
		"[director]\nMAX_CREDIT = 20\n":  {20, 20},
		"[conpaas]\nMAX_CREDIT = 200\n":  {50, 200}, // where the original has it
		"[director]\nINITIAL_CREDIT = 0": {0, 50},
	} {
		c, err := Parse("f", []byte(text), options())
		if err != nil {
			t.Fatal(err)
		}
		shown := strings.Contains(c.Show(), fmt.Sprintf("INITIAL_CREDIT = %d\nMAX_CREDIT = %d\n", want[0], want[1]))
		if c.InitialCredit != want[0] || c.MaxCredit != want[1] || !shown {
			t.Errorf("%q: %d of %d, shown %t", text, c.InitialCredit, c.MaxCredit, shown)
		}
	}
}

func TestCreditIsAWholeNumber(t *testing.T) {
	for text, want := range map[string]string{
		"[director]\nMAX_CREDIT = 1.5\n":                          "f:2: MAX_CREDIT = 1.5: want a whole number of credits from 0 to 1000000000",
		"[director]\nINITIAL_CREDIT = -1\n":                       "f:2: INITIAL_CREDIT = -1: want a whole number of credits from 0 to 50 (MAX_CREDIT)",
		"[director]\nINITIAL_CREDIT = 30\nMAX_CREDIT = 20\n":      "f:2: INITIAL_CREDIT = 30: want a whole number of credits from 0 to 20 (MAX_CREDIT)",
		"[conpaas]\nMAX_CREDIT = 20\n[director]\nMAX_CREDIT = 20": "f:2: MAX_CREDIT stands in [director] too; remove this one",
	} {
		if _, err := Parse("f", []byte(text), options()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
}
