package app

import (
	"net/netip"
	"regexp"
	"slices"

	"conpaas/client/api"
)

// Bounds of names.
const (
	maxNames     = 1024
	maxAddresses = 64
)

// serviceName lets nothing through but names below api.NamesDomain: a manager cannot take over any other.
var serviceName = regexp.MustCompile(`^([a-z0-9-]{1,63}\.){2}` + api.NamesDomain + `$`)

// PutNames accepts the names that the node is to resolve and has them written. They are stored by the worker; which are
// written is in the node's status, so that those that are lost are sent again.
func (a *App) PutNames(epoch api.Epoch, n api.Names) error {
	if err := a.checkNames(n.Names); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.desired == nil {
		return api.Errorf(api.CodeConflict, "this node has no spec yet; send it first")
	}
	next := *a.desired
	next.Epoch, next.Spec.Names = epoch, n.Names
	a.desired = &next
	a.nudge()
	return nil
}

func (a *App) checkNames(names []api.HostName) error {
	if len(names) > maxNames {
		return api.InField("names", "%d names; at most %d are allowed", len(names), maxNames)
	}
	for _, n := range names {
		if !serviceName.MatchString(n.Name) {
			return api.InField("names", "%.200q is no name of a service: want SERVICE.APPLICATION.%s", n.Name, api.NamesDomain)
		}
		if len(n.Addresses) > maxAddresses {
			return api.InField("names", "%s has %d addresses; at most %d are allowed", n.Name, len(n.Addresses), maxAddresses)
		}
		if slices.ContainsFunc(n.Addresses, func(x netip.Addr) bool { return !a.answer.Network.Prefix.Contains(x) }) {
			return api.InField("names", "%s has an address that is not in %s", n.Name, a.answer.Network.Prefix)
		}
	}
	return nil
}

// resolve writes the names of the spec into the machine's hosts file. Machines without a network of their own share
// that file with others, and reach no overlay address anyway.
func (w *worker) resolve(names []api.HostName) error {
	if !w.a.active() {
		w.unnamed.Do(func() {
			w.a.log.Info("names of services are not written: this machine has no network and no hosts file of its own (runtime process is for tests and benchmarks)")
		})
		w.named = api.SumNames(names)
		return nil
	}
	changed, err := w.a.host.ApplyNames(names)
	if err != nil {
		return err
	}
	if changed {
		w.a.log.Info("names of services are written", "names", len(names))
	}
	w.named = api.SumNames(names)
	return nil
}
