package app

import (
	"strings"

	"conpaas/client/api"
)

// How much of what a manager says is taken, and how often: one in wrong hands can speak of its own application only, and
// cannot fill the director's memory, database or log.
const (
	reportsPerSecond = 200
	reportsAtOnce    = 5000 // the snapshot of an application of thousands of machines has many lines
	eventsPerSecond  = 1
	eventsAtOnce     = 200
	textMax          = 4 << 10 // bytes of a text
	nameMax          = 128     // bytes of a name
	factsMax         = 64 << 10
	rolesMax         = 16
	listMax          = 1 << 16 // entries of any other list
)

// bound makes a manager's report one that can be kept. What is not a state leaves its service out.
func bound(r *api.ManagerReport) {
	services := r.Services[:0]
	for _, s := range r.Services {
		if !isState(s.State) {
			continue
		}
		s.Reason = cut(s.Reason, textMax)
		s.Endpoints = s.Endpoints[:min(len(s.Endpoints), listMax)]
		for i := range s.Endpoints {
			e := &s.Endpoints[i]
			e.Name, e.Node, e.URL = cut(e.Name, nameMax), cut(e.Node, nameMax), cut(e.URL, nameMax)
		}
		if c := s.Code; c != nil {
			c.Serving, c.Refused, c.Reason = cut(c.Serving, nameMax), cut(c.Refused, nameMax), cut(c.Reason, textMax)
		}
		if c := s.Commands; c != nil {
			c.Refused, c.Lacks, c.Running = cut(c.Refused, textMax), c.Lacks[:min(len(c.Lacks), rolesMax)], c.Running[:min(len(c.Running), listMax)]
			for i := range c.Lacks {
				c.Lacks[i] = cut(c.Lacks[i], nameMax)
			}
			for i := range c.Running {
				c.Running[i] = api.RunningProgram{Node: cut(c.Running[i].Node, nameMax), Name: cut(c.Running[i].Name, nameMax)}
			}
		}
		services = append(services, s)
	}
	r.Services = services
	for i := range r.Nodes {
		r.Nodes[i].Reason = cut(r.Nodes[i].Reason, textMax)
		boundStatus(r.Nodes[i].Status)
	}
	boundStatus(r.Self)
	r.Lacks = r.Lacks[:min(len(r.Lacks), listMax)]
}

func boundStatus(s *api.NodeStatus) {
	if s == nil {
		return
	}
	s.Error = cut(s.Error, textMax)
	for _, name := range []*string{&s.BootID, &s.Version, &s.DataPlane, &s.Fingerprint} {
		*name = cut(*name, nameMax)
	}
	s.Volumes = s.Volumes[:min(len(s.Volumes), rolesMax)]
	for i := range s.Volumes {
		s.Volumes[i] = cut(s.Volumes[i], nameMax)
	}
	s.Roles = s.Roles[:min(len(s.Roles), rolesMax)]
	for i := range s.Roles {
		r := &s.Roles[i]
		r.Role, r.State, r.Reason = cut(r.Role, nameMax), cut(r.State, nameMax), cut(r.Reason, textMax)
		if r.PIDs = r.PIDs[:min(len(r.PIDs), listMax)]; len(r.Facts) > factsMax {
			r.Facts = nil
		}
	}
}

func isState(s api.State) bool {
	switch s {
	case api.StateInit, api.StatePrologue, api.StateRunning, api.StateAdapting, api.StateEpilogue, api.StateStopped, api.StateError:
		return true
	}
	return false
}

// cut gives the text as UTF-8, shortened to about so many bytes.
func cut[T ~string](text T, most int) T {
	if len(text) <= most {
		return text
	}
	return T(strings.ToValidUTF8(string(text[:most]), "") + "…")
}
