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
	SetLinks          Verb = "set links"
	SetScript         Verb = "set start-up script"
	SetVariable       Verb = "set variable"
	SetSecret         Verb = "set secret"
	MakeSecret        Verb = "make secret"
	SetPassword       Verb = "set password"
	Configure         Verb = "configure"
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

	Name   string            // of a variable or a secret; the version of EnableCode; the file of an archive, script or dump
	Value  api.Secret        // of a variable, secret or password
	Values map[string]string // settings
	Nodes  map[api.Role]int  // ChangeNodes: how many more, or fewer where negative
	Links  []string
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
			p.add(Step{Verb: AddService, Service: s.Name, Values: s.Settings, Text: fmt.Sprintf("a service of type %s is added%s", s.Type, on(s.Cloud))})
		}
	}
	for _, s := range want.Services {
		p.service(s)
	}
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
	return ""
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

func (p *planner) service(s Service) {
	now, there := p.live.Find(s.Name)
	if s.Links != nil && (!there || !slices.Equal(slices.Sorted(slices.Values(s.Links)), slices.Sorted(slices.Values(now.Links))) || now.Links == nil) {
		p.add(Step{Verb: SetLinks, Service: s.Name, Links: s.Links, Text: "it is linked with " + list(s.Links)})
	}
	if s.StartupScript != "" && p.digests[s.StartupScript] != p.live.Scripts[s.Name] {
		p.add(Step{Verb: SetScript, Service: s.Name, Name: s.StartupScript, Text: "new machines run the start-up script " + s.StartupScript})
	}
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		if value := s.Environment[name]; now.Environment[name] != value || !has(now.Environment, name) {
			p.add(Step{Verb: SetVariable, Service: s.Name, Name: name, Value: api.Secret(value), Text: fmt.Sprintf("variable %s=%s", name, value)})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Secrets)) {
		switch {
		case s.Secrets[name] == Masked && !has(now.Secrets, name):
			p.add(Step{Verb: MakeSecret, Service: s.Name, Name: name, Text: fmt.Sprintf("secret %s is made", name)})
		case s.Secrets[name] != Masked:
			p.add(Step{Verb: SetSecret, Service: s.Name, Name: name, Value: s.Secrets[name], Text: fmt.Sprintf("secret %s=%s", name, Masked)})
		}
	}
	if s.Password != "" && s.Password != Masked {
		p.add(Step{Verb: SetPassword, Service: s.Name, Value: s.Password, Text: "password " + Masked})
	}
	if there {
		p.configure(s, now)
	}
	p.code(s)
	p.machines(s, now, there)
	if s.Dump != "" {
		p.add(Step{Verb: LoadDump, Service: s.Name, Name: s.Dump, Text: s.Dump + " is loaded, unless there is something in the database already"})
	}
}

func (p *planner) configure(s, now Service) {
	values := make(map[string]string)
	var text []string
	for _, name := range slices.Sorted(maps.Keys(s.Settings)) {
		if now.Settings[name] != s.Settings[name] {
			values[name] = s.Settings[name]
			text = append(text, name+"="+s.Settings[name])
		}
	}
	if len(values) > 0 {
		p.add(Step{Verb: Configure, Service: s.Name, Values: values, Text: "settings " + strings.Join(text, ", ")})
	}
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

func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

func has[V any](m map[string]V, name string) bool {
	_, ok := m[name]
	return ok
}
