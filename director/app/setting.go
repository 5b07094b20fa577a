package app

import (
	"cmp"
	"context"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"conpaas/client/api"
	"conpaas/director/store"
)

// longestValue bounds the value of any setting, in bytes.
const longestValue = 4096

// ConfigureService changes settings of a service.
func (d *Director) ConfigureService(ctx context.Context, a Actor, ref, service string, in api.SettingsChange) (api.Operation, error) {
	return d.operation(ctx, string(api.OpServiceConfigure), func(tx *store.Tx) (none store.NewOperation, err error) {
		s, err := findService(&tx.Read, a, ref, service, toOperate)
		if err != nil {
			return none, err
		}
		kind, err := d.serviceKind(s.Type)
		if err != nil {
			return none, err
		}
		if len(in.Settings) == 0 {
			return none, api.InField("settings", "name a setting and its value; there are: %s", settingNames(kind))
		}
		all := maps.Clone(s.Settings)
		if all == nil {
			all = make(map[string]string)
		}
		maps.Copy(all, in.Settings)
		for name := range s.Settings { // one that the catalogue does not have any more
			if _, asked := in.Settings[name]; !asked && !slices.ContainsFunc(kind.Settings, func(k api.Setting) bool { return k.Name == name }) {
				delete(all, name)
			}
		}
		settings, err := settingsOf(kind, all)
		if err != nil {
			return none, err
		}
		if _, err := tx.SetServiceSettings(s.Application, s.ID, settings); err != nil {
			return none, err
		}
		v, err := tx.Application(s.Application)
		return store.NewOperation{Kind: api.OpServiceConfigure, Application: v.ID, Service: s.ID, Revision: v.Revision}, err
	})
}

func settingNames(kind api.ServiceKind) string {
	names := make([]string, len(kind.Settings))
	for i, s := range kind.Settings {
		names[i] = s.Name
	}
	slices.Sort(names)
	return cmp.Or(strings.Join(names, ", "), "none")
}

// settingsOf checks settings, brings their values into their usual form and fills in the defaults.
func settingsOf(kind api.ServiceKind, given map[string]string) (map[string]string, error) {
	settings := make(map[string]string, len(kind.Settings))
	for _, s := range kind.Settings {
		settings[s.Name] = s.Default
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		i := slices.IndexFunc(kind.Settings, func(s api.Setting) bool { return s.Name == name })
		if i < 0 {
			return nil, api.InField("settings."+name, "service type %s has no such setting; there are: %s", kind.Type, settingNames(kind))
		}
		value, problem := settingValue(kind.Settings[i], given[name])
		if problem != "" {
			return nil, api.InField("settings."+name, "%s", problem)
		}
		settings[name] = value
	}
	for _, s := range kind.Settings {
		if s.AtLeast == "" {
			continue
		}
		if value, least := amount(s.Kind, settings[s.Name]), amount(s.Kind, settings[s.AtLeast]); value < least {
			return nil, api.InField("settings."+s.Name, "%s is less than %s, which is %s; make it at least as large", settings[s.Name], s.AtLeast, settings[s.AtLeast])
		}
	}
	return settings, nil
}

var (
	numberText = regexp.MustCompile(`^[0-9]{1,18}$`)
	sizeText   = regexp.MustCompile(`^([0-9]{1,18})([KMG]?)$`)
	nameText   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// settingValue gives a value in its usual form, or says what is wrong with it.
func settingValue(s api.Setting, value string) (string, string) {
	if len(value) > longestValue || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return "", "want at most " + strconv.Itoa(longestValue) + " bytes of text in one line"
	}
	switch s.Kind {
	case api.SettingNumber:
		if !numberText.MatchString(value) {
			return "", "want a whole number from " + s.Min + " to " + s.Max
		}
		value = strconv.FormatInt(amount(s.Kind, value), 10)
		return value, outside(s, value)
	case api.SettingSize:
		value = strings.ToUpper(value)
		parts := sizeText.FindStringSubmatch(value)
		if parts == nil {
			return "", "want a number of bytes from " + s.Min + " to " + s.Max + ", with the unit K, M or G, for example " + s.Default
		}
		value = strconv.FormatInt(amount(api.SettingNumber, parts[1]), 10) + parts[2]
		return value, outside(s, value)
	case api.SettingSwitch:
		for _, form := range []string{api.SwitchOn, api.SwitchOff} {
			if strings.EqualFold(value, form) {
				return form, ""
			}
		}
		return "", "want On or Off"
	case api.SettingNames:
		var names []string
		for name := range strings.SplitSeq(value, ",") {
			name = strings.TrimSpace(name)
			if name == "" {
				continue
			}
			if !nameText.MatchString(name) {
				return "", strconv.Quote(name) + " is no name; want names of letters, digits and '_' with commas between them"
			}
			names = append(names, name)
		}
		return strings.Join(names, ","), ""
	}
	return value, ""
}

// outside says that a value is not between the bounds of its setting.
func outside(s api.Setting, value string) string {
	n := amount(s.Kind, value)
	if s.Min != "" && n < amount(s.Kind, s.Min) || s.Max != "" && n > amount(s.Kind, s.Max) {
		return value + " is outside of its bounds; want " + s.Min + " to " + s.Max
	}
	return ""
}

// amount is the number that a checked value of kind number or size stands for: bytes, where it is a size.
func amount(kind api.SettingKind, value string) int64 {
	unit := int64(1)
	if kind == api.SettingSize {
		parts := sizeText.FindStringSubmatch(value)
		if parts == nil {
			return 0
		}
		value = parts[1]
		unit = map[string]int64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[parts[2]]
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0
	}
	if n > math.MaxInt64/unit {
		return math.MaxInt64
	}
	return n * unit
}
