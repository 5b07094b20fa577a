package service

import "conpaas/client/api"

// Setting gives what the user has set, else the catalogue's default.
func (in Input) Setting(name string) string {
	if v, ok := in.Spec.Settings[name]; ok {
		return v
	}
	kind, _ := api.FindServiceKind(in.Spec.Type)
	for _, s := range kind.Settings {
		if s.Name == name {
			return s.Default
		}
	}
	return ""
}
