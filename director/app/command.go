package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// Command has all machines of a service begin a command of its type, once each. Its operation ends when they have. An interrupt does
// not wait for another command that is still on its way: machines that have not begun that do not begin it any more.
func (d *Director) Command(ctx context.Context, a Actor, ref, service, name string, in api.CommandRun) (api.Operation, error) {
	if err := checkCommand(in); err != nil {
		return api.Operation{}, err
	}
	return d.operation(ctx, string(api.OpServiceCommand), func(tx *store.Tx) (none store.NewOperation, err error) {
		s, err := findService(&tx.Read, a, ref, service, toOperate)
		if err != nil {
			return none, err
		}
		kind, err := d.serviceKind(s.Type)
		if err != nil {
			return none, err
		}
		command, ok := kind.FindCommand(name)
		switch {
		case len(kind.Commands) == 0:
			return none, api.Errorf(api.CodeUnsupported, "services of type %s have no commands", s.Type)
		case !ok:
			return none, api.Errorf(api.CodeNotFound, "services of type %s have no command %.40q; there are: %s", s.Type, name, commandNames(kind))
		case s.Wanted != store.ServiceStarted:
			return none, api.Errorf(api.CodeConflict, "service %q is not started; start it with: cps service start %s %s", s.Name, ref, service)
		}
		if err := d.admit(tx, s, command); err != nil {
			return none, err
		}
		c := api.Command{Name: name, Parameters: in.Parameters}
		if c.Nodes, err = commandNodes(tx, s); err != nil {
			return none, err
		}
		if c.Number, err = commandNumber(tx, s); err != nil {
			return none, err
		}
		v, err := tx.Application(s.Application)
		return store.NewOperation{Kind: api.OpServiceCommand, Application: s.Application, Service: s.ID, Revision: v.Revision, Params: params(c)}, err
	})
}

func checkCommand(in api.CommandRun) error {
	size := 0
	for _, p := range in.Parameters {
		size += len(p)
		if strings.ContainsRune(p, 0) {
			return api.InField("parameters", "one holds a NUL byte")
		}
	}
	if len(in.Parameters) > api.MaxCommandParams || size > api.MaxCommandBytes {
		return api.InField("parameters", "%d parameters of %d bytes; at most %d of %d bytes together are allowed", len(in.Parameters), size, api.MaxCommandParams, api.MaxCommandBytes)
	}
	return nil
}

func commandNames(kind api.ServiceKind) string {
	var names []string
	for _, c := range kind.Commands {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// admit refuses a command whose time it is not.
func (d *Director) admit(tx *store.Tx, s store.Service, command api.CommandKind) error {
	status := d.commands(s.Application, s.ID)
	if status == nil {
		return api.Errorf(api.CodeUnavailable, "the manager of the application has not told yet what runs on the machines of service %q; try again", s.Name)
	}
	open, under, err := commandUnderWay(&tx.Read, s)
	if err != nil {
		return err
	}
	if command.When == api.CommandIdle {
		if s.CodeWanted != s.CodeServing {
			return api.Errorf(api.CodeConflict, "code version %s of service %q is being enabled: that must end before %s can begin", s.CodeWanted, s.Name, command.Name)
		}
		if slices.Contains(status.Lacks, command.Name) {
			return api.Errorf(api.CodeConflict, "code version %s of service %q has no program for %s; upload one that has", s.CodeServing, s.Name, command.Name)
		}
		return d.idle(&tx.Read, s, command.Name+" can begin")
	}
	if open.Name == command.Name {
		return api.Errorf(api.CodeConflict, "%s is on its way to the machines of service %q already (operation %s)", command.Name, s.Name, under)
	}
	if len(status.Running) == 0 && under == "" {
		return api.Errorf(api.CodeConflict, "nothing runs on the machines of service %q", s.Name)
	}
	if under == "" {
		return nil
	}
	_, err = tx.StepOperation(under, life.OperationCancel, &store.Failure{Code: api.CodeConflict, Detail: "it was overtaken by " + command.Name})
	return err
}

// commands gives what the manager says of the commands of a service, nil while it says nothing.
func (d *Director) commands(application api.ApplicationID, service api.ServiceID) *api.CommandStatus {
	w := d.worker(application)
	if w == nil {
		return nil
	}
	seen := w.link.seen()
	if seen.node == "" {
		return nil
	}
	return seen.services[service].Commands
}

// idle refuses what must not happen while programs of the code of a service run, or are about to.
func (d *Director) idle(r *store.Read, s store.Service, what string) error {
	if kind, _ := api.FindServiceKind(s.Type); len(kind.Commands) == 0 || s.Wanted != store.ServiceStarted {
		return nil
	}
	_, under, err := commandUnderWay(r, s)
	if err != nil {
		return err
	}
	if under != "" {
		return api.Errorf(api.CodeConflict, "a command is on its way to the machines of service %q (operation %s): its programs must end before %s", s.Name, under, what)
	}
	if status := d.commands(s.Application, s.ID); status != nil && len(status.Running) > 0 {
		return api.Errorf(api.CodeConflict, "%s of service %q: it must end before %s; see cps %s status, and cps %s interrupt", runningText(status.Running), s.Name, what, s.Type, s.Type)
	}
	return nil
}

// idleAt is idle for a volume of a machine of a service; 0 for none.
func (d *Director) idleAt(r *store.Read, application api.ApplicationID, service api.ServiceID) error {
	if service == 0 {
		return nil
	}
	s, err := r.Service(application, service)
	if err != nil {
		return err
	}
	return d.idle(r, s, "a volume comes or goes")
}

// runningText tells what runs where, for example "run.sh runs on n2, n3".
func runningText(all []api.RunningProgram) string {
	const most = 10
	var names []string
	at := map[string][]string{}
	for _, p := range all {
		if at[p.Name] == nil {
			names = append(names, p.Name)
		}
		at[p.Name] = append(at[p.Name], string(p.Node))
	}
	for i, name := range names {
		nodes := at[name]
		text := strings.Join(nodes[:min(len(nodes), most)], ", ")
		if more := len(nodes) - most; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		names[i] = fmt.Sprintf("%s runs on %s", name, text)
	}
	return strings.Join(names, "; ")
}

// commandUnderWay gives the command of a service that not all machines have begun; under is its operation, "" for none.
func commandUnderWay(r *store.Read, s store.Service) (c api.Command, under api.OperationID, err error) {
	open, err := r.OpenOperations(s.Application)
	for _, op := range open {
		if op.Kind != api.OpServiceCommand || op.Service != s.ID {
			continue
		}
		if err := json.Unmarshal(op.Params, &c); err != nil {
			return c, "", fmt.Errorf("parameters of operation %s: %w", op.ID, err)
		}
		return c, op.ID, nil
	}
	return c, "", err
}

// commandNodes are the machines that a command is for: those that have joined and stay. One whose init has not ended begins it after that.
func commandNodes(tx *store.Tx, s store.Service) (ids []api.NodeID, err error) {
	nodes, err := tx.LiveNodes(s.Application)
	for _, n := range nodes {
		if n.Service == s.ID && (n.State == api.NodeJoined || n.State == api.NodeReady || n.State == api.NodeUnreachable) {
			ids = append(ids, n.ID)
		}
	}
	if err == nil && len(ids) == 0 {
		err = api.Errorf(api.CodeUnavailable, "no machine of service %q has joined yet; try again", s.Name)
	}
	return ids, err
}

// commandNumber gives one greater than those of earlier commands. It goes with the time, so that it is so as well after the database was
// restored from a backup that does not know the last ones.
func commandNumber(tx *store.Tx, s store.Service) (uint64, error) {
	number := uint64(tx.Now().UnixMilli())
	last, err := tx.NewestOperation(s.Application, s.ID, api.OpServiceCommand)
	if notFound(err) {
		return number, nil
	}
	var c api.Command
	if err == nil {
		err = json.Unmarshal(last.Params, &c)
	}
	return max(number, c.Number+1), err
}

// openCommand gives the command that machines of a service are to begin, nil for none.
func openCommand(open []store.Operation, service api.ServiceID) *api.Command {
	for _, op := range open {
		if op.Kind != api.OpServiceCommand || op.Service != service {
			continue
		}
		var c api.Command
		if json.Unmarshal(op.Params, &c) == nil { // its outcome tells of others
			return &c
		}
	}
	return nil
}

// commandOutcome gives the event that ends the operation of a command, "" while it goes on.
func commandOutcome(s *snapshot, v store.Service, seen observed, op store.Operation) (life.OperationEvent, *store.Failure) {
	var c api.Command
	if err := json.Unmarshal(op.Params, &c); err != nil {
		return life.OperationFail, &store.Failure{Code: api.CodeInternal, Detail: fmt.Sprintf("parameters of operation %s: %v", op.ID, err)}
	}
	status := seen.services[v.ID].Commands
	switch {
	case !runs(s, v):
		return life.OperationCancel, &store.Failure{Code: api.CodeConflict, Detail: "the service was stopped meanwhile"}
	case seen.node == "" || status == nil || status.Number != c.Number:
		return "", nil
	case status.Refused != "":
		return life.OperationFail, &store.Failure{Code: api.CodeConflict, Detail: fmt.Sprintf("%s is refused: %s", c.Name, status.Refused)}
	}
	return life.OperationSucceed, nil
}
