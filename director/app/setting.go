package app

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/director/store"
)

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
		value, err := kind.Settings[i].Parse(given[name])
		if err != nil {
			return nil, api.InField("settings."+name, "%s", err.Error())
		}
		settings[name] = value
	}
	for _, s := range kind.Settings {
		if s.AtLeast == "" {
			continue
		}
		if s.Amount(settings[s.Name]) < s.Amount(settings[s.AtLeast]) {
			return nil, api.InField("settings."+s.Name, "%s is less than %s, which is %s; make it at least as large", settings[s.Name], s.AtLeast, settings[s.AtLeast])
		}
	}
	return settings, nil
}
