package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/manager"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

// hosted is what the services of an application have beside their rows.
type hosted struct {
	versions []store.CodeVersion
	secrets  map[api.ServiceID]map[string]api.Secret
	// environments and scripts are those of the services that have one.
	environments map[api.ServiceID]*store.Environment
	scripts      map[api.ServiceID]store.Script
}

func loadHosted(r *store.Read, application api.ApplicationID) (h hosted, err error) {
	if h.versions, err = r.ServiceCode(application, 0); err != nil {
		return h, err
	}
	if h.secrets, err = r.ServiceSecrets(application); err != nil {
		return h, err
	}
	if h.environments, err = r.Environments(application); err != nil {
		return h, err
	}
	h.scripts, err = r.Scripts(application)
	return h, err
}

// makeSecrets gives a new service the secrets that its type names.
func makeSecrets(tx *store.Tx, s store.Service, kinds []api.SecretKind) error {
	for _, kind := range kinds {
		if err := tx.PutServiceSecret(s.Application, s.ID, kind.Name, api.Secret(rand.Text()+rand.Text())); err != nil {
			return err
		}
	}
	return nil
}

// code records which versions of their code the services serve, and takes back what a machine has refused.
func (w *worker) code(ctx context.Context, s *snapshot, seen observed, _ *deadline) error {
	if seen.node == "" || seen.revision != s.application.Revision {
		return nil // what it says may be of another wanted version
	}
	for _, v := range s.services {
		status := seen.services[v.ID].Code
		if v.Wanted != store.ServiceStarted || v.CodeWanted == v.CodeServing || status == nil {
			continue
		}
		var err error
		switch v.CodeWanted {
		case status.Serving:
			s.changed = true
			err = w.d.store.Update(ctx, "code.serves", func(tx *store.Tx) error {
				_, err := tx.CodeServes(w.id, v.ID, v.CodeWanted)
				return err
			})
		case status.Refused:
			s.changed = true
			err = w.d.store.Update(ctx, "code.refused", func(tx *store.Tx) error { return refuseCode(tx, v, status.Reason) })
		}
		if err != nil && !errors.Is(err, store.ErrConflict) && !notFound(err) { // else overtaken by its owner
			return err
		}
	}
	return nil
}

// refuseCode wants the version that serves again, and ends the operation that has asked for the other.
func refuseCode(tx *store.Tx, s store.Service, reason string) error {
	if _, err := tx.RefuseCode(s.Application, s.ID, s.CodeWanted, reason); err != nil {
		return err
	}
	open, err := tx.OpenOperations(s.Application)
	if err != nil {
		return err
	}
	for _, op := range open {
		if op.Kind != api.OpServiceCode || op.Service != s.ID {
			continue
		}
		if op.State == api.OperationPending {
			if _, err := tx.StepOperation(op.ID, life.OperationStart, nil); err != nil {
				return err
			}
		}
		failure := &store.Failure{Code: api.CodeInvalid, Detail: fmt.Sprintf("%s is refused, %s goes on: %s", s.CodeWanted, s.CodeServing, reason)}
		if _, err := tx.StepOperation(op.ID, life.OperationFail, failure); err != nil {
			return err
		}
	}
	return nil
}

// keepCode wants the version that serves again instead of the one that an operation enables, unless that one gets
// requests already: as far as is recorded, or as the manager says.
func (d *Director) keepCode(tx *store.Tx, op store.Operation) error {
	var params codeParams
	if err := json.Unmarshal(op.Params, &params); err != nil {
		return fmt.Errorf("parameters of operation %s: %w", op.ID, err)
	}
	s, err := tx.Service(op.Application, op.Service)
	if err != nil {
		return err
	}
	serves := s.CodeServing == params.Version
	if w := d.worker(op.Application); w != nil && !serves {
		code := w.link.seen().services[s.ID].Code
		serves = code != nil && code.Serving == params.Version
	}
	if serves {
		return api.Errorf(api.CodeConflict, "operation %s cannot be cancelled: %s gets requests already; enable another version instead, see: cps %s list-codes %s %s",
			op.ID, params.Version, s.Type, s.Application, s.ID)
	}
	if s.CodeWanted == params.Version {
		_, err = tx.SetCodeWanted(s.Application, s.ID, s.CodeServing)
	}
	return err
}

// codeOutcome gives the event that ends an operation that enables a version, "" while it goes on.
func (w *worker) codeOutcome(s *snapshot, v store.Service, seen observed, op store.Operation) (life.OperationEvent, *store.Failure) {
	var params codeParams
	if err := json.Unmarshal(op.Params, &params); err != nil {
		return life.OperationFail, &store.Failure{Code: api.CodeInternal, Detail: fmt.Sprintf("parameters of operation %s: %v", op.ID, err)}
	}
	switch {
	case v.CodeWanted != params.Version:
		return life.OperationCancel, &store.Failure{Code: api.CodeConflict, Detail: "another version was enabled meanwhile: " + v.CodeWanted}
	case !runs(s, v): // it is checked and served when the service starts
		return life.OperationSucceed, nil
	case v.CodeServing == params.Version && w.serviceSettled(s, v, seen):
		return life.OperationSucceed, nil
	}
	return "", nil
}

// runs tells whether a service is to have machines.
func runs(s *snapshot, v store.Service) bool {
	return s.application.Wanted == store.ApplicationRunning && v.Wanted == store.ServiceStarted
}

// lack notes which blobs the manager has said that it lacks; l.mu is held.
func (l *link) lack(sums []string) {
	const most = 1000
	for _, sum := range sums {
		if !slices.Contains(l.lacks, sum) && len(l.lacks) < most {
			l.lacks = append(l.lacks, sum)
		}
	}
	if len(sums) > 0 {
		select {
		case l.lacking <- struct{}{}:
		default:
		}
	}
}

// sendAgain is how long the link waits after a blob could not be sent.
const sendAgain = 2 * time.Second

// sending sends the blobs that the manager lacks, one after another, until the connection ends.
func (l *link) sending(ctx context.Context, client *manager.Client) {
	for {
		sum, epoch, news := l.nextLack()
		if sum == "" {
			select {
			case <-l.lacking:
				continue
			case <-news:
				continue
			case <-ctx.Done():
				return
			}
		}
		err := l.w.d.sendBlob(ctx, client, epoch, sum)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.w.log.Warn("the manager did not take an archive", "sha256", sum, daemon.KeyError, err)
			select {
			case <-time.After(sendAgain):
			case <-ctx.Done():
				return
			}
			continue
		}
		l.mu.Lock()
		if ctx.Err() == nil {
			l.lacks = slices.DeleteFunc(l.lacks, func(s string) bool { return s == sum })
		}
		l.mu.Unlock()
	}
}

// nextLack gives a blob that the manager lacks and that its spec names: it gets no other. news is closed when it has
// another spec.
func (l *link) nextLack() (sum string, epoch api.Epoch, news <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked == nil {
		return "", api.Epoch{}, l.news
	}
	i := slices.IndexFunc(l.lacks, func(sum string) bool { return named(l.acked.spec.Application, sum) })
	if i < 0 {
		return "", api.Epoch{}, l.news
	}
	return l.lacks[i], l.acked.epoch, l.news
}

func named(spec api.ApplicationSpec, sum string) bool {
	return slices.ContainsFunc(spec.Services, func(s api.ServiceSpec) bool {
		return s.Code != nil && slices.ContainsFunc(s.Code.Versions, func(v api.CodeBlob) bool { return v.SHA256 == sum })
	})
}

func (d *Director) sendBlob(ctx context.Context, client *manager.Client, epoch api.Epoch, sum string) error {
	file, size, err := d.blobs.Open(sum)
	if err != nil {
		return err
	}
	defer file.Close()
	return client.PutBlob(ctx, epoch, sum, size, file)
}

// checkRoles refuses numbers of machines that a service of a hosting type cannot work with: a role without machines of its
// own runs on the first proxy, so that there can be no second one.
func checkRoles(s store.Service) error {
	if packed := packedRole(s); packed != "" && s.Nodes[api.RoleProxy] > 1 {
		return api.InField("nodes."+string(packed), "service %q would have %d machines of role %s and none of role %s, which runs on the only proxy then; have at least one",
			s.Name, s.Nodes[api.RoleProxy], api.RoleProxy, packed)
	}
	return nil
}

// packedRole gives a role that runs on the first proxy of a service of a hosting type, "" where there is none.
func packedRole(s store.Service) api.Role {
	if kind, _ := api.FindServiceKind(s.Type); !kind.Hosting {
		return ""
	}
	for _, role := range []api.Role{api.RoleWeb, api.RoleBackend} {
		if s.Nodes[role] == 0 {
			return role
		}
	}
	return ""
}
