package java

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"conpaas/agent/service"
	"conpaas/agent/services/conf"
	"conpaas/agent/services/hosting"
	"conpaas/client/api"
)

// routes say which instance gets the requests of a version. They are on disk, since an agent that begins has to go on by them.
type routes map[string]string

func routesFile(p hosting.Site) string { return p.Config() + "/routes.json" }

func readRoutes(p hosting.Site) routes {
	r := routes{}
	data, err := p.Host.State().Read(routesFile(p), 1<<20)
	if err != nil || json.Unmarshal(data, &r) != nil {
		return routes{}
	}
	return r
}

func (r routes) write(p hosting.Site) error {
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = p.Host.State().Write(routesFile(p), data, 0o600)
	return err
}

// Apply implements hosting.Runner: every version has its instance, and gets its requests there as soon as it is up. Until then it is
// served as before.
func (r *runner) Apply(ctx context.Context, p hosting.Site, c api.HostingBackendConfig) error {
	checked := slices.DeleteFunc(slices.Clone(c.Versions), func(v api.CodeBlob) bool { return !p.Checked(v) })
	want, err := r.plans(ctx, p, checked, c)
	if err != nil {
		return err
	}
	running, err := p.Host.State().Directories(p.Base + "/tomcat")
	if err != nil {
		return err
	}
	now, next := readRoutes(p), routes{}
	for id, mark := range now { // also of versions that are not wanted any more: a request may be under way
		if slices.Contains(running, mark) {
			next[id] = mark
		}
	}
	var errs []error
	for _, x := range want {
		errs = append(errs, r.launch(ctx, p, x))
	}
	slice, cancel := context.WithTimeout(ctx, sliceTime)
	defer cancel()
	for _, x := range want {
		if next[x.Version] == x.Mark {
			continue
		}
		a, err := r.await(slice, p, x.Mark)
		switch {
		case err != nil:
			errs = append(errs, &service.Waiting{For: "Tomcat starts code version " + x.Version, Busy: true})
		case !a.up():
			errs = append(errs, notStarted(x.Version, a))
		default:
			next[x.Version] = x.Mark
		}
	}
	return errors.Join(append(errs, r.route(ctx, p, c, next))...)
}

// await waits until an instance answers, as long as ctx lasts.
func (r *runner) await(ctx context.Context, p hosting.Site, mark string) (answer, error) {
	ticker := time.NewTicker(lookGap)
	defer ticker.Stop()
	for {
		a, err := ask(ctx, p, mark)
		if err == nil {
			return a, nil
		}
		select {
		case <-ctx.Done():
			return answer{}, err
		case <-ticker.C:
		}
	}
}

func notStarted(version string, a answer) error {
	return fmt.Errorf("Tomcat has not been able to start code version %s: it is %s", version, strings.ToLower(a.state))
}

// route makes the front give requests to these instances.
func (r *runner) route(ctx context.Context, p hosting.Site, c api.HostingBackendConfig, next routes) error {
	text, mark, err := renderFront(p, c, next)
	if err != nil {
		return err
	}
	if err := next.write(p); err != nil {
		return err
	}
	return nginx(c).Apply(ctx, p, text, hosting.Loaded{Mark: mark})
}

// nginx is the front.
func nginx(c api.HostingBackendConfig) hosting.Nginx {
	return hosting.Nginx{Name: front, Listen: c.Listen}
}

// frontValues fill front.conf.
type frontValues struct {
	hosting.NginxValues
	Patience int // seconds
	Routes   []route
}

type route struct {
	Version, Mark, Socket string
}

func renderFront(p hosting.Site, c api.HostingBackendConfig, to routes) (text []byte, mark string, err error) {
	v := frontValues{NginxValues: nginx(c).Values(p), Patience: hosting.Patience(c.Patience)}
	for _, id := range slices.Sorted(maps.Keys(to)) {
		v.Routes = append(v.Routes, route{Version: id, Mark: to[id], Socket: socketPath(p, to[id])})
	}
	if text, err = hosting.Render(files, "front.conf", v); err != nil {
		return nil, "", err
	}
	text, mark = conf.Marked(text)
	return text, mark, nil
}

// End implements hosting.Runner. The front first: it lets what is in flight end.
func (r *runner) End(ctx context.Context, p hosting.Site) error {
	if err := p.Host.Service().Stop(ctx, front); err != nil {
		return err
	}
	marks, err := p.Host.State().Directories(p.Base + "/tomcat")
	if err != nil {
		return err
	}
	errs := make([]error, len(marks))
	var all sync.WaitGroup
	for i, mark := range marks {
		all.Go(func() { errs[i] = p.Host.Service().Stop(ctx, programName(mark)) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	clear(r.idle)
	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(p.Host.State().Remove(p.Base+"/tomcat"), p.Host.State().Remove(routesFile(p)))
}

// Health implements hosting.Runner. It also ends the instances that are not used any more.
func (r *runner) Health(ctx context.Context, p hosting.Site, c *api.HostingBackendConfig) hosting.Health {
	marks, err := p.Host.State().Directories(p.Base + "/tomcat")
	if err != nil || c == nil {
		programs := []hosting.Program{{Name: front}}
		for _, mark := range marks {
			programs = append(programs, hosting.Program{Name: programName(mark), Log: catalina})
		}
		return hosting.Health{Programs: programs, Unknown: err}
	}
	want, err := r.plans(ctx, p, c.Versions, *c)
	if err != nil {
		return hosting.Health{Programs: []hosting.Program{{Name: front, Trouble: err}}, Unknown: err}
	}
	answers, errs := askAll(ctx, p, marks)
	to := readRoutes(p)
	health := hosting.Health{Programs: []hosting.Program{{Name: front, Trouble: frontTrouble(ctx, p, *c, to)}}}
	for i, mark := range marks {
		health.Active += answers[i].active
		if _, runs := p.Host.Service().State(programName(mark)); runs && errs[i] != nil {
			health.Unknown = errs[i]
		}
	}
	used := map[string]bool{}
	for _, x := range want {
		used[x.Mark], used[to[x.Version]] = true, true
		i := slices.Index(marks, x.Mark)
		v := c.Versions[slices.IndexFunc(c.Versions, func(v api.CodeBlob) bool { return v.ID == x.Version })]
		if !p.Checked(v) {
			continue
		}
		program := hosting.Program{Name: x.program.Name, Log: catalina, Start: r.start}
		switch {
		case i < 0 || errs[i] != nil:
			program.Trouble = fmt.Errorf("Tomcat starts code version %s", x.Version)
		case !answers[i].up():
			program.Trouble, program.Start = notStarted(x.Version, answers[i]), time.Nanosecond // it will not get better
		case to[x.Version] != x.Mark:
			program.Trouble = fmt.Errorf("code version %s is still served under its old settings", x.Version)
		}
		if program.Trouble != nil || health.Programs[0].Trouble != nil {
			health.Lacks = append(health.Lacks, x.Version)
		}
		health.Programs = append(health.Programs, program)
	}
	if err := r.retire(ctx, p, marks, used, answers); err != nil {
		health.Unknown = err
	}
	return health
}

// retire ends instances that are not used when nothing has been in flight on them for a while.
func (r *runner) retire(ctx context.Context, p hosting.Site, marks []string, used map[string]bool, answers []answer) error {
	var errs []error
	for i, mark := range marks {
		since, idle := r.idle[mark]
		switch {
		case used[mark] || answers[i].active > 0:
			delete(r.idle, mark)
		case !idle:
			r.idle[mark] = time.Now()
		case time.Since(since) >= r.late:
			errs = append(errs, r.forget(ctx, p, mark))
		}
	}
	return errors.Join(errs...)
}

// askAll asks instances at once.
func askAll(ctx context.Context, p hosting.Site, marks []string) ([]answer, []error) {
	answers, errs := make([]answer, len(marks)), make([]error, len(marks))
	var all sync.WaitGroup
	for i, mark := range marks {
		all.Go(func() { answers[i], errs[i] = ask(ctx, p, mark) })
	}
	all.Wait()
	return answers, errs
}

func frontTrouble(ctx context.Context, p hosting.Site, c api.HostingBackendConfig, to routes) error {
	_, mark, err := renderFront(p, c, to)
	if err != nil {
		return err
	}
	now, err := nginx(c).Mark(ctx, p)
	if err == nil && now != mark {
		err = errors.New("nginx has not taken over its configuration yet")
	}
	return err
}
