package app

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/client/api"
)

// program is a type with a setting of each kind.
var program = api.ServiceKind{Type: "program", Settings: []api.Setting{
	{Name: "title", Default: "none"},
	{Name: "seconds", Default: "30", Kind: api.SettingNumber, Min: "1", Max: "3600"},
	{Name: "upload", Default: "2M", Kind: api.SettingSize, Min: "1K", Max: "2G"},
	{Name: "post", Default: "8M", Kind: api.SettingSize, Min: "1K", Max: "4G", AtLeast: "upload"},
	{Name: "errors", Default: "Off", Kind: api.SettingSwitch},
	{Name: "forbidden", Kind: api.SettingNames},
}}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want, refused string }{
		{"title", "Good morning", "Good morning", ""},
		{"title", "two\nlines", "", "one line"},
		{"title", strings.Repeat("x", 4097), "", "at most 4096 bytes"},
		{"title", "\xff", "", "text"},
		{"seconds", "60", "60", ""},
		{"seconds", "0060", "60", ""},
		{"seconds", "0", "", "0 is outside of its bounds; want 1 to 3600"},
		{"seconds", "3601", "", "outside"},
		{"seconds", "-1", "", "whole number from 1 to 3600"},
		{"seconds", "1e3", "", "whole number"},
		{"seconds", "", "", "whole number"},
		{"seconds", "99999999999999999999", "", "whole number"},
		{"upload", "1m", "1M", ""},
		{"upload", "0000000000016k", "16K", ""},
		{"upload", "2097152", "2097152", ""},
		{"upload", "1023", "", "outside"},
		{"upload", "1MB", "", "with the unit K, M or G, for example 2M"},
		{"upload", "1.5M", "", "with the unit"},
		{"upload", "3G", "", "outside"},
		{"upload", "999999999999999999G", "", "outside"},
		{"upload", "1M\n", "", "one line"},
		{"post", "2M", "2M", ""},
		{"post", "2047K", "", "2047K is less than upload, which is 2M"},
		{"errors", "on", "On", ""},
		{"errors", "OFF", "Off", ""},
		{"errors", "1", "", "want On or Off"},
		{"forbidden", " exec , passthru,", "exec,passthru", ""},
		{"forbidden", "", "", ""},
		{"forbidden", "exec;system", "", `"exec;system" is no name`},
		{"forbidden", "exec\"", "", "is no name"},
		{"colour", "red", "", "no such setting; there are: errors, forbidden, post, seconds, title, upload"},
	} {
		settings, err := settingsOf(program, map[string]string{c.name: c.value})
		if c.refused == "" {
			if err != nil || settings[c.name] != c.want {
				t.Errorf("%s=%q is %q, %v; want %q", c.name, c.value, settings[c.name], err, c.want)
			}
			if len(settings) != len(program.Settings) {
				t.Errorf("%s=%q: the settings are %v", c.name, c.value, settings)
			}
			continue
		}
		problem, ok := errors.AsType[*api.Error](err)
		if !ok || problem.Code != api.CodeInvalid || problem.Field != "settings."+c.name || !strings.Contains(problem.Detail, c.refused) {
			t.Errorf("%s=%q: %v; want %q", c.name, c.value, err, c.refused)
		}
	}
	if _, err := settingsOf(program, map[string]string{"upload": "16M"}); err == nil || !strings.Contains(err.Error(), "settings.post: 8M is less than upload, which is 16M") {
		t.Errorf("an upload larger than a post: %v", err)
	}
	if _, err := settingsOf(program, map[string]string{"upload": "16M", "post": "16384K"}); err != nil {
		t.Errorf("an upload as large as a post: %v", err)
	}
}

// Whatever is accepted is harmless in a file of lines, and is accepted again as it is.
func TestAcceptedSettingsAreStable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		setting := rapid.SampledFrom(program.Settings).Draw(t, "setting")
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9]{1,12}[kKmMgG]?`), rapid.StringMatching(`[a-z_, ]*`)).Draw(t, "value")
		first, err := setting.Parse(value)
		if err != nil {
			return
		}
		if strings.ContainsAny(first, "\n\r\x00") {
			t.Fatalf("%s=%q has more than one line", setting.Name, first)
		}
		if again, err := setting.Parse(first); again != first || err != nil {
			t.Fatalf("%s=%q becomes %q, %v", setting.Name, first, again, err)
		}
	})
}

func TestDefaultsOfTheCatalogue(t *testing.T) {
	t.Parallel()
	for _, kind := range api.Catalogue() {
		defaults, err := settingsOf(kind, nil)
		if err != nil {
			t.Errorf("%s: %v", kind.Type, err)
		}
		if again, err := settingsOf(kind, defaults); err != nil {
			t.Errorf("%s: the defaults %v are refused: %v", kind.Type, again, err)
		}
	}
}
