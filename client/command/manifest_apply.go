package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/manifest"
	"conpaas/client/ui"
)

// applier takes the steps of a plan. Those of one service are taken one after another, services go side by side.
type applier struct {
	client      *director.Client
	progress    *ui.Progress
	application string // id or name, once it is there
	want        manifest.Manifest
	sources     *sources
}

// apply takes all steps. What was done stays done when one fails; the same call goes on from there.
func (a *applier) apply(ctx context.Context, steps []manifest.Step) error {
	services := make(map[string][]manifest.Step)
	var order []string
	for _, s := range steps {
		if s.Verb == manifest.CreateApplication || s.Verb == manifest.AddService {
			if err := a.take(ctx, s); err != nil {
				return err
			}
			continue
		}
		if services[s.Service] == nil {
			order = append(order, s.Service)
		}
		services[s.Service] = append(services[s.Service], s)
	}
	errs := make([]error, len(order))
	var group sync.WaitGroup
	for i, name := range order {
		group.Go(func() {
			for _, s := range services[name] {
				if errs[i] = a.take(ctx, s); errs[i] != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// take takes one step and tells of it.
func (a *applier) take(ctx context.Context, s manifest.Step) error {
	op, err := a.do(ctx, s)
	if err == nil && op.ID != "" {
		err = a.await(ctx, op)
	}
	about := fmt.Sprintf("application %q", a.want.Application)
	if s.Service != "" {
		about = fmt.Sprintf("service %q", s.Service)
	}
	if err != nil {
		return fmt.Errorf("%s: %s: %w", about, s.Verb, err)
	}
	a.progress.Note(about + ": " + s.Text)
	return nil
}

// do begins a step. Its operation has an id where there is something to wait for.
func (a *applier) do(ctx context.Context, s manifest.Step) (op api.Operation, err error) {
	c := a.client
	switch s.Verb {
	case manifest.CreateApplication:
		made, err := c.CreateApplication(ctx, api.ApplicationCreate{Name: a.want.Application, Cloud: a.want.Cloud})
		a.application = made.ID.String()
		return op, err
	case manifest.AddService:
		service, _ := a.want.Find(s.Service)
		_, err := c.AddService(ctx, a.application, api.ServiceCreate{Type: service.Type, Name: service.Name, Cloud: service.Cloud, Settings: s.Settings})
		return op, err
	case manifest.Configure:
		return c.Configure(ctx, a.application, s.Service, s.Settings)
	case manifest.SetEnvironment:
		for _, name := range s.Make {
			s.Environment.Secrets[name] = api.Secret(rand.Text())
		}
		return c.ChangeEnvironment(ctx, a.application, s.Service, s.Environment)
	case manifest.SetScript:
		text, err := readFile(a.sources.all[s.Name].path, api.ScriptMax+1)
		if err == nil {
			_, err = c.SetScript(ctx, a.application, s.Service, api.ScriptChange{Script: api.Secret(text)})
		}
		return op, err
	case manifest.SetPassword:
		return c.SetSecret(ctx, a.application, s.Service, passwordSecret, s.Password)
	case manifest.LoadDump:
		return op, a.load(ctx, s)
	case manifest.CreateVolume:
		v := s.Volume
		return c.CreateVolume(ctx, a.application, api.VolumeCreate{Name: v.Name, SizeMiB: v.Size, Cloud: v.Cloud, VolumeService: api.VolumeService{Service: v.Service, Role: v.Role}})
	case manifest.DetachVolume:
		return c.DetachVolume(ctx, a.application, s.Volume.Name)
	case manifest.AttachVolume:
		return c.AttachVolume(ctx, a.application, s.Volume.Name, api.VolumeAttach{VolumeService: api.VolumeService{Service: s.Volume.Service, Role: s.Volume.Role}})
	case manifest.UploadCode:
		return a.upload(ctx, s)
	case manifest.EnableCode:
		return c.EnableCode(ctx, a.application, s.Service, s.Name)
	case manifest.StartService:
		return c.StartService(ctx, a.application, s.Service)
	case manifest.StopService:
		return c.StopService(ctx, a.application, s.Service)
	case manifest.RemoveService:
		return c.RemoveService(ctx, a.application, s.Service)
	case manifest.ChangeNodes:
		return a.change(ctx, s)
	}
	return op, fmt.Errorf("this cps does not know the step %q", s.Verb)
}

func (a *applier) upload(ctx context.Context, s manifest.Step) (op api.Operation, err error) {
	from := a.sources.all[s.Name]
	file, err := os.Open(from.path)
	if err != nil {
		return op, err
	}
	defer func() { _ = file.Close() }()
	u := &uploader{
		client: a.client, progress: ui.NewProgress(ui.Screen{Writer: io.Discard}, ""), what: "upload " + s.Name,
		in: director.Upload{Filename: from.name, Enable: true}, file: file, size: from.size,
	}
	v, err := u.send(ctx, a.application, s.Service)
	if err != nil || v.Operation == "" {
		return op, err
	}
	return a.client.Operation(ctx, v.Operation)
}

// load loads a dump where there is no database yet.
func (a *applier) load(ctx context.Context, s manifest.Step) error {
	file, err := os.Open(a.sources.all[s.Name].path)
	if err != nil {
		return err
	}
	done, err := a.client.Act(ctx, a.application, s.Service, api.MySQLLoadDump, url.Values{api.ParamNew: {api.SwitchOn}}, file)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, done)
	return errors.Join(err, done.Close())
}

// change adds and removes machines. Where it does both it waits for the new ones first.
func (a *applier) change(ctx context.Context, s manifest.Step) (op api.Operation, err error) {
	more, fewer := api.NodesChange{Nodes: map[api.Role]int{}}, api.NodesChange{Nodes: map[api.Role]int{}}
	for role, by := range s.Nodes {
		if by > 0 {
			more.Nodes[role] = by
		} else {
			fewer.Nodes[role] = -by
		}
	}
	if len(more.Nodes) > 0 {
		if op, err = a.client.AddNodes(ctx, a.application, s.Service, more); err != nil || len(fewer.Nodes) == 0 {
			return op, err
		}
		if err := a.await(ctx, op); err != nil {
			return op, err
		}
	}
	return a.client.RemoveNodes(ctx, a.application, s.Service, fewer)
}

// await waits for the end of an operation without telling of it.
func (a *applier) await(ctx context.Context, op api.Operation) error {
	op, err := quietly(a.client, string(op.Kind)).follow(ctx, op)
	if err != nil {
		return err
	}
	return outcome(string(op.Kind), op)
}

// quietly gives a watcher that shows nothing.
func quietly(c *director.Client, what string) *watcher {
	return &watcher{client: c, progress: ui.NewProgress(ui.Screen{Writer: io.Discard}, ""), what: what}
}
