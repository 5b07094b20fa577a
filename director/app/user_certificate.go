package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/store"
)

// Certificates of users.
const (
	certificateDefault = 365 * 24 * time.Hour
	certificatesMost   = 100 // of a user that open something
	certificatesOfName = 10  // of them with one name: renewed ones live on until their end
)

// userCaller tells which user is at the other end of a connection with a good certificate.
func (d *Director) userCaller(ctx context.Context, peer mtls.Peer) (wire.Caller, error) {
	if peer.Expired {
		return wire.Caller{}, api.Errorf(api.CodeUnauthenticated, "client certificate: it ended at %s; get another: cps user get-certificate", peer.Certificate.NotAfter)
	}
	var c store.Certificate
	var u store.User
	var now time.Time
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		now = r.Now()
		u, c, err = r.CertificateUser(peer.Serial)
		return err
	})
	switch {
	case err != nil && !notFound(err):
		return wire.Caller{}, problem(err)
	case err != nil || c.Identity != peer.Identity.String():
		return wire.Caller{}, errRevoked()
	}
	if now.Sub(c.Used) >= useGrain {
		if err := d.store.Update(ctx, "certificate.used", func(tx *store.Tx) error { return tx.UseCertificate(c.ID) }); err != nil {
			d.log.Warn("the use of a certificate could not be recorded", "user", u.ID, "serial", c.Serial, "err", err)
		}
	}
	return wire.Caller{
		Kind: wire.KindUser, Identity: peer.Identity, Serial: peer.Serial, User: u.ID, UserName: u.Name, Admin: u.Role == api.RoleAdmin,
		Credential: strings.TrimSpace("certificate " + peer.Serial + " " + c.Name),
	}, nil
}

// UserCertificates gives a page of a user's certificates that open something.
func (d *Director) UserCertificates(ctx context.Context, a Actor, ref string, p Page) (list api.List[api.UserCertificate], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		u, err := account(r, a, ref)
		if err != nil {
			return err
		}
		found, next, err := r.UserCertificates(u.ID, page)
		list.Items, list.Next = converted(found, showUserCertificate), cursor(next)
		return err
	})
	return list, problem(err)
}

func showUserCertificate(c store.Certificate) api.UserCertificate {
	out := api.UserCertificate{ID: c.ID, Serial: c.Serial, Name: c.Name, Created: c.Created, Expires: c.NotAfter}
	if !c.Used.IsZero() {
		out.Used = &c.Used
	}
	return out
}

// CreateCertificate signs a certificate for the actor. calling is the token of the request: as for CreateToken it has to be a
// login's.
func (d *Director) CreateCertificate(ctx context.Context, a Actor, ref string, calling api.Secret, in api.CertificateCreate) (api.CertificateCreated, error) {
	none := api.CertificateCreated{}
	if err := checkName(in.Name); err != nil {
		return none, err
	}
	life, err := lifeOf(in.Seconds, certificateDefault)
	if err != nil {
		return none, err
	}
	key, err := ca.ParseCSR([]byte(in.CSR))
	if err != nil {
		return none, api.InField("csr", "%v", err)
	}
	u, err := d.own(ctx, a, ref)
	if err != nil {
		return none, err
	}
	t := d.trust.Load()
	pem, row, err := t.issue(d.userIdentity(u.ID), key, time.Now().Add(life))
	if err != nil {
		return none, err
	}
	row.User, row.Name = u.ID, in.Name
	err = d.store.Update(ctx, "certificate.created", func(tx *store.Tx) error {
		if err := loggedIn(&tx.Read, a, calling); err != nil {
			return err
		}
		live, err := liveCertificates(&tx.Read, u.ID)
		if err != nil {
			return err
		}
		for _, c := range live {
			if c.Name == in.Name {
				e := api.Errorf(api.CodeConflict, "certificate %q exists already; revoke it, or choose another name", in.Name)
				e.Field = "name"
				return e
			}
		}
		if len(live) >= certificatesMost {
			return api.Errorf(api.CodeQuota, "there are %d certificates, the most that a user may have; revoke one first", len(live))
		}
		row, err = tx.AddCertificate(row)
		return err
	})
	if err != nil {
		return none, problem(err)
	}
	return api.CertificateCreated{UserCertificate: showUserCertificate(row), Certificate: pem, CA: string(t.pem)}, nil
}

// lifeOf checks how long a token or a certificate is to be good.
func lifeOf(seconds int64, otherwise time.Duration) (time.Duration, error) {
	least, most := int64(tokenLeast/time.Second), int64(tokenMost/time.Second)
	life := cmp.Or(seconds, int64(otherwise/time.Second))
	if life < least || life > most {
		return 0, api.InField("seconds", "%d: want %d to %d (%d days)", life, least, most, most/(24*60*60))
	}
	return time.Duration(life) * time.Second, nil
}

func (d *Director) userIdentity(id api.UserID) certs.Identity {
	return certs.Identity{Deployment: d.store.Installation().Name, Role: certs.RoleUser, User: strconv.FormatInt(int64(id), 10)}
}

// liveCertificates gives all certificates of a user that open something, the oldest first.
func liveCertificates(r *store.Read, user api.UserID) (all []store.Certificate, err error) {
	for page := (store.Page{}); ; {
		some, next, err := r.UserCertificates(user, page)
		all = append(all, some...)
		if page.After = next; err != nil || next == 0 {
			return all, err
		}
	}
}

// renewUser signs a certificate like the calling one, with the same life. The calling one is good until its end, since the
// answer may be lost; of those before only a few are.
func (d *Director) renewUser(ctx context.Context, id certs.Identity, serial string, key any) (api.RenewAnswer, error) {
	t := d.trust.Load()
	var old store.Certificate
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		old, err = r.Certificate(serial)
		return err
	})
	if err != nil {
		return api.RenewAnswer{}, problem(err)
	}
	pem, row, err := t.issue(id, key, time.Now().Add(old.NotAfter.Sub(old.Created)))
	if err != nil {
		return api.RenewAnswer{}, err
	}
	row.User, row.Name = old.User, old.Name
	err = d.store.Update(ctx, "certificate.renewed", func(tx *store.Tx) error {
		if old, err = tx.Certificate(serial); err != nil || !old.Revoked.IsZero() {
			return errors.Join(err, errRevoked())
		}
		if _, err := tx.AddCertificate(row); err != nil {
			return err
		}
		return endOldest(tx, old)
	})
	return api.RenewAnswer{Certificate: pem, CA: string(t.pem)}, problem(err)
}

// endOldest revokes the oldest certificates that were renewed from one another when there are too many; the calling one stays.
func endOldest(tx *store.Tx, calling store.Certificate) error {
	live, err := liveCertificates(&tx.Read, calling.User)
	if err != nil {
		return err
	}
	live = slices.DeleteFunc(live, func(c store.Certificate) bool { return c.Name != calling.Name || c.ID == calling.ID })
	for _, c := range live[:max(0, len(live)-certificatesOfName)] {
		if err := tx.RevokeCertificate(c.Serial, "it was renewed"); err != nil {
			return err
		}
	}
	return nil
}

// RevokeCertificate revokes certificates of a user by serial or name, all of them where certificate is "": the actor's own, and
// for an administrator those of anyone.
func (d *Director) RevokeCertificate(ctx context.Context, a Actor, ref, certificate string) error {
	var u store.User
	err := d.store.Update(ctx, "certificate.revoked", func(tx *store.Tx) (err error) {
		if u, err = account(&tx.Read, a, ref); err != nil {
			return err
		}
		return tx.RevokeCertificatesOf(u.ID, certificate, "revoked by "+a.Name)
	})
	d.accessChanged(u.ID)
	return problem(err)
}

// CertificateQuery says which certificates of the installation are wanted.
type CertificateQuery struct {
	Role     string        // "": all
	Expiring time.Duration // that end within this time; 0: whenever
	Revoked  bool          // those that are revoked, and have not ended yet, instead of those that open something
}

// Certificates gives a page of the certificates of the installation; it is for administrators.
func (d *Director) Certificates(ctx context.Context, q CertificateQuery, p Page) (list api.List[api.Certificate], err error) {
	page, err := p.numbers()
	if err != nil {
		return list, err
	}
	err = d.store.View(ctx, func(r *store.Read) error {
		f := store.CertificateFilter{Role: q.Role, Revoked: q.Revoked}
		if q.Expiring > 0 {
			f.Before = r.Now().Add(q.Expiring)
		}
		found, next, err := r.Certificates(f, page)
		if err != nil {
			return err
		}
		list.Items = make([]api.Certificate, len(found))
		for i, c := range found {
			if list.Items[i], err = showCertificate(r, c); err != nil {
				return err
			}
		}
		list.Next = cursor(next)
		return nil
	})
	return list, problem(err)
}

func showCertificate(r *store.Read, c store.Certificate) (api.Certificate, error) {
	out := api.Certificate{ID: c.ID, Serial: c.Serial, Role: c.Role, Name: c.Name, Created: c.Created, Expires: c.NotAfter, Reason: c.Reason}
	if !c.Revoked.IsZero() {
		out.Revoked = &c.Revoked
	}
	id, err := certs.ParseURI(c.Identity)
	if err != nil || id.User == "" {
		return out, err
	}
	out.User, out.Application, out.Node = id.User, id.Application, api.NodeID(id.Node)
	u, err := r.NamedUser(id.User)
	if err == nil {
		out.User = u.Name
	} else if notFound(err) {
		err = nil
	}
	return out, err
}
