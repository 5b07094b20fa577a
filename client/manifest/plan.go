package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"conpaas/client/api"
)

// Live is what an application is now.
type Live struct {
	Manifest // Password and Secrets have Masked for each that there is; Dump is empty

	Archives map[string]string       // by service: SHA-256 of the code that serves or is to; "" for the welcome page
	Versions map[string]CodeVersions // by service: what has been uploaded
	Scripts  map[string]string       // by service: SHA-256 of the start-up script; "" for none
	Waits    map[string]string       // by service that is started and does not serve: its state and the reason
}

// CodeVersions are uploaded versions of a service's code, by their SHA-256.
type CodeVersions map[string]string

// Digests are the SHA-256 of files that a manifest names, by their names.
type Digests map[string]string

// Verb says what a step does.
type Verb string

// The verbs, in the order in which the steps of one service are taken.
const (
	CreateApplication Verb = "create application"
	AddService        Verb = "add service"
	SetEnvironment    Verb = "set environment"
	SetScript         Verb = "set start-up script"
	SetPassword       Verb = "set password"
	Configure         Verb = "configure"
	CreateVolume      Verb = "create volume"
	DetachVolume      Verb = "detach volume"
	AttachVolume      Verb = "attach volume"
	UploadCode        Verb = "upload code"
	EnableCode        Verb = "enable code"
	StartService      Verb = "start"
	ChangeNodes       Verb = "change machines"
	StopService       Verb = "stop"
	LoadDump          Verb = "load dump"
	RemoveService     Verb = "remove service"
)

// Step is one thing to do. Which members have a meaning depends on the verb.
type Step struct {
	Verb    Verb
	Service string // name; "" for the application itself
	Text    string // for people; no secret is in it

	Name        string                // the version of EnableCode; the file of an archive, script or dump
	Password    api.Secret            // SetPassword
	Settings    map[string]string     // AddService, Configure
	Nodes       map[api.Role]int      // ChangeNodes: how many more, or fewer where negative
	Environment api.EnvironmentChange // SetEnvironment
	Make        []string              // SetEnvironment: secrets to be made beside it
	Volume      Volume                // CreateVolume, DetachVolume, AttachVolume: with its size and its role
}

// Plan gives the steps that make an application what a complete and checked manifest says; none when it is that already.
// live is nil where there is no such application. What the manifest does not mention stays as it is; services that it does not
// have are removed only when prune is set.
func Plan(live *Live, want Manifest, digests Digests, kinds []api.ServiceKind, prune bool) []Step {
	p := planner{live: live, digests: digests, kinds: kinds}
	if live == nil {
		p.live = &Live{}
		p.add(Step{Verb: CreateApplication, Text: fmt.Sprintf("application %q is created%s", want.Application, on(want.Cloud))})
	}
	for _, s := range want.Services { // all of them first: links need them
		if _, there := p.live.Find(s.Name); !there {
			p.add(Step{Verb: AddService, Service: s.Name, Settings: s.Settings, Text: fmt.Sprintf("a service of type %s is added%s", s.Type, on(s.Cloud))})
		}
	}
	for _, s := range want.Services {
		p.service(want, s)
	}
	p.volumes(want, "")
	for _, s := range p.live.Services {
		if _, wanted := want.Find(s.Name); !wanted && prune {
			p.add(Step{Verb: RemoveService, Service: s.Name, Text: "it is removed with its machines: the manifest does not have it"})
		}
	}
	return p.steps
}

// Differs tells what of a live application no step can change; "" for nothing.
func (live Live) Differs(want Manifest) string {
	if want.Cloud != "" && want.Cloud != live.Cloud {
		return fmt.Sprintf("application %q is on cloud %s, not on %s", live.Application, live.Cloud, want.Cloud)
	}
	for _, s := range want.Services {
		now, there := live.Find(s.Name)
		switch {
		case there && now.Type != s.Type:
			return fmt.Sprintf("service %q is of type %s, not %s; give one of them another name", s.Name, now.Type, s.Type)
		case there && s.Cloud != "" && s.Cloud != now.Cloud && (s.Cloud != live.Cloud || now.Cloud != ""):
			return fmt.Sprintf("service %q is on another cloud than %s", s.Name, s.Cloud)
		}
	}
	if text := live.with(want).circle(); text != "" {
		return "with the links that there are, " + text
	}
	return live.volumesDiffer(want)
}

// with gives the services as they will be, as far as links go: what the manifest does not say stays.
func (live Live) with(want Manifest) (all Manifest) {
	for _, s := range want.Services {
		if now, there := live.Find(s.Name); there && s.Links == nil {
			s.Links = now.Links
		}
		all.Services = append(all.Services, s)
	}
	for _, now := range live.Services {
		if _, wanted := want.Find(now.Name); !wanted {
			all.Services = append(all.Services, now)
		}
	}
	return all
}

type planner struct {
	live    *Live
	digests Digests
	kinds   []api.ServiceKind
	steps   []Step
}

func (p *planner) add(s Step) { p.steps = append(p.steps, s) }

func on(cloud string) string {
	if cloud == "" {
		return ""
	}
	return " on cloud " + cloud
}

func (p *planner) service(m Manifest, s Service) {
	now, there := p.live.Find(s.Name)
	p.environment(s, now)
	if s.StartupScript != "" && p.digests[s.StartupScript] != p.live.Scripts[s.Name] {
		p.add(Step{Verb: SetScript, Service: s.Name, Name: s.StartupScript, Text: "new machines run the start-up script " + s.StartupScript})
	}
	if s.Password != "" && s.Password != Masked {
		p.add(Step{Verb: SetPassword, Service: s.Name, Password: s.Password, Text: "password " + Masked})
	}
	if there {
		p.configure(s, now)
	}
	p.volumes(m, s.Name)
	p.code(s)
	p.machines(s, now, there)
	if s.Dump != "" {
		p.add(Step{Verb: LoadDump, Service: s.Name, Name: s.Dump, Text: s.Dump + " is loaded, unless there is something in the database already"})
	}
}

// environment sets variables, secrets and links, all at once. Whether a secret is so already nobody sees.
func (p *planner) environment(s, now Service) {
	step := Step{Verb: SetEnvironment, Service: s.Name, Environment: api.EnvironmentChange{Set: map[string]string{}, Secrets: map[string]api.Secret{}}}
	var text []string
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		if value, there := now.Environment[name]; !there || value != s.Environment[name] {
			step.Environment.Set[name] = s.Environment[name]
			text = append(text, name+"="+s.Environment[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		_, there := now.Secrets[name]
		switch {
		case s.Secrets[name] != Masked:
			step.Environment.Secrets[name] = s.Secrets[name]
			text = append(text, name+"="+Masked)
		case !there:
			step.Make = append(step.Make, name)
			text = append(text, "a new secret "+name)
		}
	}
	if s.Links != nil {
		step.Environment.Link = without(s.Links, now.Links)
		step.Environment.Unlink = without(now.Links, s.Links)
		for _, name := range step.Environment.Link {
			text = append(text, "linked with "+name)
		}
		for _, name := range step.Environment.Unlink {
			text = append(text, "no longer linked with "+name)
		}
	}
	if len(text) > 0 {
		step.Text = strings.Join(text, ", ")
		p.add(step)
	}
}

// without gives the names that others do not have.
func without(names, others []string) (left []string) {
	for _, name := range names {
		if !slices.Contains(others, name) {
			left = append(left, name)
		}
	}
	return left
}

func (p *planner) configure(s, now Service) {
	values := make(map[string]string)
	var text []string
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		if now.Settings[name] != p.usual(s.Type, name, s.Settings[name]) {
			values[name] = s.Settings[name]
			text = append(text, name+"="+s.Settings[name])
		}
	}
	if len(values) > 0 {
		p.add(Step{Verb: Configure, Service: s.Name, Settings: values, Text: "settings " + strings.Join(text, ", ")})
	}
}

// usual gives the value of a setting in the form in which the director keeps it.
func (p *planner) usual(t api.ServiceType, name, value string) string {
	for _, k := range p.kinds {
		for _, s := range k.Settings {
			if form, err := s.Parse(value); err == nil && k.Type == t && s.Name == name {
				return form
			}
		}
	}
	return value
}

func (p *planner) code(s Service) {
	sum := p.digests[s.Archive]
	if s.Archive == "" || sum == p.live.Archives[s.Name] {
		return
	}
	if version := p.live.Versions[s.Name][sum]; version != "" {
		p.add(Step{Verb: EnableCode, Service: s.Name, Name: version, Text: fmt.Sprintf("its code is version %s, which is %s", version, s.Archive)})
		return
	}
	p.add(Step{Verb: UploadCode, Service: s.Name, Name: s.Archive, Text: "its code is " + s.Archive})
}

// machines starts or stops, and changes the numbers of a service that runs.
func (p *planner) machines(s, now Service, there bool) {
	switch {
	case !s.Start && now.Start:
		p.add(Step{Verb: StopService, Service: s.Name, Text: "it is stopped"})
	case s.Start && !now.Start:
		p.add(Step{Verb: StartService, Service: s.Name, Text: "it is started"})
	case s.Start && p.live.Waits[s.Name] != "":
		p.add(Step{Verb: StartService, Service: s.Name, Text: "it is waited for: it is " + p.live.Waits[s.Name]})
	}
	if !s.Start {
		return
	}
	have := now.StartupInstances
	if !there {
		have = p.beginnings(s.Type)
	}
	change := make(map[api.Role]int)
	var text []string
	for _, role := range slices.Sorted(maps.Keys(s.StartupInstances)) {
		if by := s.StartupInstances[role] - have[role]; by != 0 {
			change[role] = by
			text = append(text, fmt.Sprintf("%s %d → %d", role, have[role], s.StartupInstances[role]))
		}
	}
	if len(change) > 0 {
		p.add(Step{Verb: ChangeNodes, Service: s.Name, Nodes: change, Text: "machines: " + strings.Join(text, ", ")})
	}
}

// beginnings are the machines that a new service of the type has.
func (p *planner) beginnings(t api.ServiceType) map[api.Role]int {
	nodes := make(map[api.Role]int)
	for _, k := range p.kinds {
		if k.Type == t {
			for _, r := range k.Roles {
				nodes[r.Role] = r.Start
			}
		}
	}
	return nodes
}
