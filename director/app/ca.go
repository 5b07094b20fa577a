package app

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/store"
)

// lateClock is how much before the installation its authorities begin.
const lateClock = 24 * time.Hour

// trust is what the installation trusts at one moment; it is never changed. In a rotation the newest authority is first
// only trusted, then it signs. The director shows a certificate of the oldest all along, because that is the one that
// everybody knows who has been away: nodes, people, and machines that boot with old user-data.
type trust struct {
	rows    []store.Authority // newest first
	roots   []*x509.Certificate
	pool    *x509.CertPool
	signer  *ca.Authority // signs certificates of nodes
	serving *ca.Authority // signs what the director shows
	pem     []byte        // of the roots
	bundle  string        // certs.BundleName of the roots
	name    string        // certs.TrustName of what nodes are to have
}

func newTrust(rows []store.Authority) (*trust, error) {
	t := &trust{rows: rows, pool: x509.NewCertPool()}
	for _, row := range rows {
		a, err := ca.Load(row.Certificate, row.Key)
		if err != nil {
			return nil, err
		}
		t.roots = append(t.roots, a.Certificate())
		t.pool.AddCert(a.Certificate())
		if row.Signs && t.signer == nil {
			t.signer = a
		}
		t.serving = a
	}
	if t.signer == nil {
		return nil, fmt.Errorf("none of the %d certificate authorities in the database signs; restore it from its backup", len(rows))
	}
	t.pem, t.bundle = certs.CertificatePEM(t.roots...), certs.BundleName(t.roots)
	t.name = certs.TrustName(t.signer.Certificate().SubjectKeyId, t.roots)
	return t, nil
}

// step tells how far a rotation has come when so many nodes wait.
func (t *trust) step(waiting int) api.CAStep {
	switch {
	case len(t.rows) == 1:
		return api.CASettled
	case !t.rows[0].Signs:
		return api.CAIntroducing
	case waiting > 0:
		return api.CARenewing
	}
	return api.CAOverlap
}

// ensureCA makes the authority of a new installation and learns what there is.
func (d *Director) ensureCA(ctx context.Context) error {
	found, err := d.authorities(ctx, store.AuthorityCA)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		err = d.store.Update(ctx, "ca.created", func(tx *store.Tx) error { return d.addCA(tx, true) })
	}
	if err != nil {
		return err
	}
	if err := d.learnCA(ctx); err != nil {
		return err
	}
	if c := d.trust.Load().signer.Certificate(); time.Until(c.NotAfter) < c.NotAfter.Sub(c.NotBefore)/10 {
		d.log.Warn("the certificate authority ends soon, and every certificate with it: run cps ca rotate", "ends", c.NotAfter)
	}
	return nil
}

// addCA makes an authority. Each begins with the installation, so that no clock is late for its certificates.
func (d *Director) addCA(tx *store.Tx, signs bool) error {
	begin := d.store.Installation().Created.Add(-lateClock)
	authority, err := ca.New(d.store.Installation().Name, begin, tx.Now().Add(d.config.Certificates.Authority).Sub(begin))
	if err != nil {
		return err
	}
	key, err := authority.KeyPEM()
	if err != nil {
		return err
	}
	_, err = tx.AddAuthority(store.AuthorityCA, authority.CertificatePEM(), key, signs)
	return err
}

// learnCA takes what the database says of the authorities, and has everybody told of what is new.
func (d *Director) learnCA(ctx context.Context) error {
	d.caTurn.Lock()
	defer d.caTurn.Unlock()
	found, err := d.authorities(ctx, store.AuthorityCA)
	if err != nil {
		return err
	}
	old := d.trust.Load()
	if old != nil && slices.EqualFunc(old.rows, found, func(a, b store.Authority) bool { return a.ID == b.ID && a.Signs == b.Signs }) {
		return nil
	}
	now, err := newTrust(found)
	if err != nil {
		return err
	}
	d.trust.Store(now)
	if old != nil {
		d.log.Info("the certificate authorities have changed", "trusted", len(now.rows), "step", now.step(0))
		d.hub.Distrust(func(c *x509.Certificate) bool { return certs.SignedBy(c, now.roots) })
		d.wakeAll()
	}
	return daemon.WriteFile(d.caFile(), now.pem, 0o644)
}

// tendCA goes on with a rotation when no node waits any more.
func (d *Director) tendCA(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		if err := d.advanceCA(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("the rotation of the certificate authority does not go on now", daemon.KeyError, err)
		}
		select { // many nodes are heard of at once: one look is enough for them
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-d.caNews:
		case <-ctx.Done():
			return
		}
	}
}

// advanceCA has the new authority sign once every node trusts it.
func (d *Director) advanceCA(ctx context.Context) error {
	if err := d.learnCA(ctx); err != nil {
		return err
	}
	t := d.trust.Load()
	if t.step(0) != api.CAIntroducing {
		return nil
	}
	waiting := 0
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		waiting, _, err = r.NodesWithout(t.name, 1)
		return err
	})
	if err != nil || waiting > 0 {
		return err
	}
	err = d.store.Update(ctx, "ca.signing", func(tx *store.Tx) error {
		waiting, _, err := tx.NodesWithout(t.name, 1)
		if err != nil || waiting > 0 {
			return err
		}
		return tx.SignBy(t.rows[0].ID)
	})
	if err != nil {
		return err
	}
	return d.learnCA(ctx)
}

// lookCA wakes tendCA.
func (d *Director) lookCA() {
	select {
	case d.caNews <- struct{}{}:
	default: // it will look anyway
	}
}

// Authorities gives the authorities and how far a rotation has come.
func (d *Director) Authorities(ctx context.Context) (api.CAState, error) {
	var out api.CAState
	err := d.store.View(ctx, func(r *store.Read) error {
		rows, err := r.Authorities(store.AuthorityCA)
		if err != nil {
			return err
		}
		t, err := newTrust(rows)
		if err != nil {
			return err
		}
		out, err = caState(r, t)
		return err
	})
	return out, problem(err)
}

const shownNodes = 20 // of those that wait

func caState(r *store.Read, t *trust) (out api.CAState, err error) {
	if len(t.rows) > 1 {
		if out.Waiting, out.Nodes, err = r.NodesWithout(t.name, shownNodes); err != nil {
			return api.CAState{}, err
		}
	}
	if out.Users, err = r.CertificatesNotBy(authorityID(t.roots[0])); err != nil {
		return api.CAState{}, err
	}
	out.Step = t.step(out.Waiting)
	for i, c := range t.roots {
		out.Authorities = append(out.Authorities, api.Authority{
			Fingerprint: certs.Fingerprint(c), Created: t.rows[i].Created, Ends: c.NotAfter,
			Signs: bytes.Equal(c.Raw, t.signer.Certificate().Raw), Serves: bytes.Equal(c.Raw, t.serving.Certificate().Raw),
		})
	}
	return out, nil
}

// RotateCA begins a rotation: there is a new authority, which nodes learn to trust.
func (d *Director) RotateCA(ctx context.Context, a Actor) (api.CAState, error) {
	return d.changeCA(ctx, a, "ca.introduced", func(tx *store.Tx, rows []store.Authority) error {
		if len(rows) > 1 {
			return api.Errorf(api.CodeConflict, "a rotation is under way: see cps ca show, and end it by cps ca retire")
		}
		return d.addCA(tx, false)
	})
}

// RetireCA ends a rotation: only the new authority is trusted, and the director shows a certificate of it. While nodes wait
// that is refused, unless it is forced; those are replaced then, as silent ones are. So it is while the old one vouches for
// certificates of users, which end then.
func (d *Director) RetireCA(ctx context.Context, a Actor, in api.CARetire) (api.CAState, error) {
	return d.changeCA(ctx, a, "ca.retired", func(tx *store.Tx, rows []store.Authority) error {
		if len(rows) == 1 {
			return api.Errorf(api.CodeConflict, "there is only one certificate authority; begin a rotation by cps ca rotate")
		}
		t, err := newTrust(rows)
		if err != nil {
			return err
		}
		state, err := caState(&tx.Read, t)
		if err != nil {
			return err
		}
		if state.Step != api.CAOverlap && !in.Force {
			return api.Errorf(api.CodeConflict, "the rotation is at the step %s and waits for %d nodes (the first: %s); without them the old authority can only be retired by force",
				state.Step, state.Waiting, state.Nodes)
		}
		if state.Users > 0 && !in.Force {
			return api.Errorf(api.CodeConflict, "the old authority vouches for %d certificates of users that still open something: see cps ca certificates --role user; cps renews them when it is used, and by force they end",
				state.Users)
		}
		if err := tx.SignBy(rows[0].ID); err != nil {
			return err
		}
		if err := tx.RevokeNotBy(authorityID(t.roots[0]), "its authority is retired"); err != nil {
			return err
		}
		for _, old := range rows[1:] {
			if err := tx.RetireAuthority(old.ID); err != nil {
				return err
			}
		}
		return nil
	})
}

// changeCA changes the authorities in one transaction, whose name is also that of the log line.
func (d *Director) changeCA(ctx context.Context, a Actor, what string, change func(tx *store.Tx, rows []store.Authority) error) (api.CAState, error) {
	err := d.store.Update(ctx, what, func(tx *store.Tx) error {
		rows, err := tx.Authorities(store.AuthorityCA)
		if err != nil {
			return err
		}
		return change(tx, rows)
	})
	if err != nil {
		return api.CAState{}, problem(err)
	}
	d.log.Warn("an administrator has changed the certificate authorities", "change", what, "user", a.Name)
	if err := d.learnCA(context.WithoutCancel(ctx)); err != nil {
		return api.CAState{}, err
	}
	d.lookCA()
	return d.Authorities(ctx)
}
