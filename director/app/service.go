package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/director/store"
)

// Services gives a page of the services of an application.
func (d *Director) Services(ctx context.Context, a Actor, ref string, p Page) (list api.List[api.Service], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		v, err := findApplication(r, a, ref, toView)
		if err != nil {
			return err
		}
		services, next, err := r.ServicePage(v.ID, page)
		if err != nil {
			return err
		}
		list.Items, list.Next = make([]api.Service, len(services)), cursor(next)
		for i, s := range services {
			if list.Items[i], err = d.showService(r, s); err != nil {
				return err
			}
		}
		return nil
	})
	return list, problem(err)
}

// Service gives one service by name or id.
func (d *Director) Service(ctx context.Context, a Actor, ref, service string) (out api.Service, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		s, err := findService(r, a, ref, service, toView)
		if err != nil {
			return err
		}
		out, err = d.showService(r, s)
		return err
	})
	return out, problem(err)
}

func (d *Director) showService(r *store.Read, s store.Service) (api.Service, error) {
	out := api.Service{
		ID: s.ID, Application: s.Application, Type: s.Type, Name: s.Name, Cloud: s.Cloud, State: s.State, Reason: s.Reason,
		Since: s.Since, Created: s.Created, Nodes: s.Nodes, Settings: s.Settings,
	}
	nodes, err := r.LiveNodes(s.Application)
	if err != nil {
		return out, err
	}
	published := make(map[api.NodeID]map[uint16]string)
	for _, n := range nodesOf(nodes, s.ID) {
		out.Machines++
		if n.State == api.NodeReady {
			out.Ready++
		}
		published[n.ID] = n.Published
	}
	if w := d.worker(s.Application); w != nil {
		for _, e := range w.link.seen().services[s.ID].Endpoints {
			if address := published[e.Node][e.Port]; address != "" {
				e.URL = e.Name + "://" + address
			}
			out.Endpoints = append(out.Endpoints, e)
		}
	}
	return out, nil
}

// AddService adds a service to an application; it has no machine until it is started.
func (d *Director) AddService(ctx context.Context, a Actor, ref string, in api.ServiceCreate) (out api.Service, err error) {
	kind, err := d.serviceKind(in.Type)
	if err != nil {
		return out, err
	}
	settings, err := settingsOf(kind, in.Settings)
	if err != nil {
		return out, err
	}
	if in.Name != "" {
		if err := checkName(in.Name); err != nil {
			return out, err
		}
	}
	var s store.Service
	err = d.store.Update(ctx, "service.created", func(tx *store.Tx) error {
		v, err := findApplication(&tx.Read, a, ref, toOperate)
		if err != nil {
			return err
		}
		if in.Cloud == "" {
			in.Cloud = v.Cloud
		}
		if _, err := d.place(in.Cloud); err != nil {
			return err
		}
		if in.Name == "" {
			if in.Name, err = freeName(tx, v.ID, in.Type); err != nil {
				return err
			}
		}
		nodes := make(map[api.Role]int, len(kind.Roles))
		for _, role := range kind.Roles {
			nodes[role.Role] = role.Start
		}
		n := store.NewService{Type: in.Type, Name: in.Name, Cloud: in.Cloud, Nodes: nodes, Settings: settings}
		if kind.Code {
			n.Code = api.CodeDefault
		}
		if s, err = tx.CreateService(v.ID, n); err != nil {
			return err
		}
		return makeSecrets(tx, s, kind.Secrets)
	})
	if err != nil {
		return out, taken(err, "service", in.Name)
	}
	d.wakeFor(ctx, s.Application)
	return d.Service(ctx, a, s.Application.String(), s.ID.String())
}

// ServiceKinds gives a page of the service types that can be added.
func (d *Director) ServiceKinds(p Page) (api.List[api.ServiceKind], error) {
	return pageOf(d.config.Kinds, p, func(k api.ServiceKind) string { return string(k.Type) })
}

func (d *Director) serviceKind(t api.ServiceType) (api.ServiceKind, error) {
	var known []string
	for _, k := range d.config.Kinds {
		if k.Type == t {
			return k, nil
		}
		known = append(known, string(k.Type))
	}
	return api.ServiceKind{}, api.InField("type", "service type %q is not known, the nearest is %s; there are: %s", t, api.Nearest(string(t), known), strings.Join(known, ", "))
}

// freeName gives the type as name, or the type with a number when it is taken.
func freeName(tx *store.Tx, application api.ApplicationID, t api.ServiceType) (string, error) {
	services, err := tx.Services(application)
	if err != nil {
		return "", err
	}
	name := string(t)
	for n := 2; slices.ContainsFunc(services, func(s store.Service) bool { return s.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", t, n)
	}
	return name, nil
}

// RenameService gives a service another name.
func (d *Director) RenameService(ctx context.Context, a Actor, ref, service, name string) (api.Service, error) {
	if err := checkName(name); err != nil {
		return api.Service{}, err
	}
	var s store.Service
	err := d.store.Update(ctx, "service.renamed", func(tx *store.Tx) (err error) {
		if s, err = findService(&tx.Read, a, ref, service, toOperate); err != nil {
			return err
		}
		_, err = tx.RenameService(s.Application, s.ID, name)
		return err
	})
	if err != nil {
		return api.Service{}, taken(err, "service", name)
	}
	d.wakeFor(ctx, s.Application)
	return d.Service(ctx, a, s.Application.String(), s.ID.String())
}

// StartService wants a service started, and its application running.
func (d *Director) StartService(ctx context.Context, a Actor, ref, service string) (api.Operation, error) {
	return d.wantService(ctx, a, ref, service, api.OpServiceStart, store.ServiceStarted, toOperate)
}

// needsNetwork refuses a service whose programs talk to each other where machines cannot, as far as that is known of other machines
// there; else the agents say so.
func needsNetwork(tx *store.Tx, s store.Service) error {
	kind, _ := api.FindServiceKind(s.Type)
	if !kind.Code {
		return nil
	}
	const none = "none"
	nodes, err := tx.LiveNodes(s.Application)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Cloud == s.Cloud && n.DataPlane == none {
			return api.Errorf(api.CodeUnsupported, "service %q of type %s needs machines with a network among each other, and those of cloud %s have none (runtime %s is for tests and benchmarks); use runtime container or another cloud",
				s.Name, s.Type, n.Cloud, n.Runtime)
		}
	}
	return nil
}

// StopService removes the machines of a service and keeps the rest.
func (d *Director) StopService(ctx context.Context, a Actor, ref, service string) (api.Operation, error) {
	return d.wantService(ctx, a, ref, service, api.OpServiceStop, store.ServiceStopped, toOperate)
}

// RemoveService removes a service with all that belongs to it.
func (d *Director) RemoveService(ctx context.Context, a Actor, ref, service string) (api.Operation, error) {
	return d.wantService(ctx, a, ref, service, api.OpServiceRemove, store.ServiceRemoved, toOwn)
}

func (d *Director) wantService(ctx context.Context, a Actor, ref, service string, kind api.OperationKind, wanted store.ServiceWanted, n need) (api.Operation, error) {
	return d.operation(ctx, string(kind), func(tx *store.Tx) (store.NewOperation, error) {
		s, err := findService(&tx.Read, a, ref, service, n)
		if err != nil {
			return store.NewOperation{}, err
		}
		if wanted == store.ServiceStarted {
			if err := needsNetwork(tx, s); err != nil {
				return store.NewOperation{}, err
			}
			if err := needsPackages(tx, s); err != nil {
				return store.NewOperation{}, err
			}
		}
		if wanted == store.ServiceRemoved {
			if err := linkedWith(tx, s); err != nil {
				return store.NewOperation{}, err
			}
		}
		if _, err := tx.SetServiceWanted(s.Application, s.ID, wanted); err != nil {
			return store.NewOperation{}, err
		}
		if err := supersede(tx, s.Application, s.ID, kind); err != nil {
			return store.NewOperation{}, err
		}
		v, err := tx.Application(s.Application)
		if err != nil {
			return store.NewOperation{}, err
		}
		if wanted == store.ServiceStarted && v.Wanted != store.ApplicationRunning {
			if v, err = tx.SetApplicationWanted(v.ID, store.ApplicationRunning); err != nil {
				return store.NewOperation{}, err
			}
		}
		if wanted == store.ServiceStarted {
			if err := affordable(tx, v.ID); err != nil {
				return store.NewOperation{}, err
			}
		}
		return store.NewOperation{Kind: kind, Application: v.ID, Service: s.ID, Revision: v.Revision}, nil
	})
}
