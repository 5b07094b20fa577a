package manifest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"conpaas/client/api"
)

// Volume is a disk of the application that outlives machines; those that come with the machines of a type are not written down.
type Volume struct {
	Name    string
	Size    int      // MiB; 0: as it is, or SizeMiB of a new one
	Cloud   string   // of one that no service has; else it is the service's
	Service string   // whose machines have it, one after another; "": nothing is said of it
	Role    api.Role // of those machines; "": the first of the service's type
}

// SizeMiB is the size of a new volume of which nothing else is said.
const SizeMiB = 1024

var volumeName = regexp.MustCompile(`^` + api.VolumeNameForm + `$`)

// FindVolume gives the volume of that name.
func (m Manifest) FindVolume(name string) (Volume, bool) {
	i := slices.IndexFunc(m.Volumes, func(v Volume) bool { return v.Name == name })
	if i < 0 {
		return Volume{}, false
	}
	return m.Volumes[i], true
}

func (p *parser) volume(t tree, path string) (v Volume) {
	var role string
	p.object(t, path, []key{
		{"Name", p.text(&v.Name)},
		{"Size", p.number(&v.Size)},
		{"Cloud", p.text(&v.Cloud)},
		{"Service", p.text(&v.Service)},
		{"Role", p.text(&role)},
	})
	v.Role = api.Role(role)
	return v
}

func (c *checker) volumes(m Manifest) {
	taken := make(map[string]bool)
	for i, v := range m.Volumes {
		at := fmt.Sprintf("Volumes[%d]", i)
		switch {
		case !volumeName.MatchString(v.Name):
			c.wrong(at+".Name", "%.80q is no name of a volume: want 1 to 63 letters, digits, '-' and '_', a letter first", v.Name)
		case taken[strings.ToLower(v.Name)]:
			c.wrong(at+".Name", "there is a volume %q already", v.Name)
		}
		taken[strings.ToLower(v.Name)] = true
		if v.Size != 0 && (v.Size < api.MinVolumeMiB || v.Size > api.MaxVolumeMiB) {
			c.wrong(at+".Size", "%d MiB cannot be the size of a volume: want %d to %d", v.Size, api.MinVolumeMiB, api.MaxVolumeMiB)
		}
		c.volumeService(at, m, v)
	}
}

func (c *checker) volumeService(at string, m Manifest, v Volume) {
	if v.Service == "" {
		if v.Role != "" {
			c.wrong(at+".Role", "a role is of a service; name that, too")
		}
		return
	}
	s, known := m.Find(v.Service)
	if !known {
		c.wrong(at+".Service", "the manifest has no service %q; the nearest is %s", v.Service, api.Nearest(v.Service, m.names()))
		return
	}
	if v.Cloud != "" {
		c.wrong(at+".Cloud", "it is on the cloud of service %q; leave this out", v.Service)
	}
	i := slices.IndexFunc(c.kinds, func(k api.ServiceKind) bool { return k.Type == s.Type })
	if i < 0 {
		return // the service is wrong
	}
	role := firstRole(c.kinds, s.Type, v.Role)
	switch row, known := c.kinds[i].FindRole(role); {
	case !known:
		c.wrong(at+".Role", "services of type %s have no such role; there are: %s", s.Type, join(c.kinds[i].RoleNames()))
	case row.Volume != nil && row.Volume.Name == v.Name:
		c.wrong(at+".Name", "the machines of role %s of service %q have a volume of that name already", role, s.Name)
	}
}

func (m Manifest) names() (names []string) {
	for _, s := range m.Services {
		names = append(names, s.Name)
	}
	return names
}

// firstRole is the role that is meant where none is said.
func firstRole(kinds []api.ServiceKind, t api.ServiceType, said api.Role) api.Role {
	for _, k := range kinds {
		if said == "" && k.Type == t {
			return k.Roles[0].Role
		}
	}
	return said
}

// volumes plans those of a service, "" for those of which no service is said.
func (p *planner) volumes(m Manifest, service string) {
	s, _ := m.Find(service)
	for _, v := range m.Volumes {
		if v.Service != service {
			continue
		}
		if service != "" {
			v.Role = firstRole(p.kinds, s.Type, v.Role)
		}
		now, there := p.live.FindVolume(v.Name)
		to := ""
		if service != "" {
			to = fmt.Sprintf(" for the role %s", v.Role)
		}
		if !there {
			if v.Size == 0 {
				v.Size = SizeMiB
			}
			p.add(Step{Verb: CreateVolume, Service: service, Volume: v, Text: fmt.Sprintf("volume %s of %d MiB is created%s", v.Name, v.Size, to)})
			continue
		}
		if service == "" || now.Service == service && now.Role == v.Role {
			continue
		}
		if now.Service != "" {
			p.add(Step{Verb: DetachVolume, Service: service, Volume: v, Text: fmt.Sprintf("volume %s is taken from service %s", v.Name, now.Service)})
		}
		p.add(Step{Verb: AttachVolume, Service: service, Volume: v, Text: fmt.Sprintf("volume %s is attached%s", v.Name, to)})
	}
}

// volumesDiffer tells what of live volumes no step can change; "" for nothing.
func (live Live) volumesDiffer(want Manifest) string {
	for _, v := range want.Volumes {
		now, there := live.FindVolume(v.Name)
		switch {
		case there && v.Size != 0 && v.Size != now.Size:
			return fmt.Sprintf("volume %s has %d MiB, not %d, and volumes do not grow; give one of that size another name", v.Name, now.Size, v.Size)
		case there && v.Cloud != "" && v.Cloud != now.Cloud && (v.Cloud != live.Cloud || now.Cloud != ""):
			return fmt.Sprintf("volume %s is on another cloud than %s", v.Name, v.Cloud)
		}
	}
	return ""
}
