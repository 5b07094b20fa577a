package app

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/wire"
	"conpaas/director/store"
	"conpaas/director/store/life"
)

const (
	agentPort = 5556             // TCP port on which managers take their agents' connections
	keyWait   = 10 * time.Second // for the manager to learn a joining agent's key
)

// CertificateCaller tells which node or user is at the other end of a TLS connection with a client certificate.
func (d *Director) CertificateCaller(ctx context.Context, cs *tls.ConnectionState) (wire.Caller, error) {
	now := time.Now()
	peer, err := mtls.Verify(cs, d.trust.Load().pool, now)
	if err != nil {
		return wire.Caller{}, api.Errorf(api.CodeUnauthenticated, "client certificate: %v", err)
	}
	if peer.Expired && now.Sub(peer.Certificate.NotAfter) >= d.config.Certificates.Grace {
		return wire.Caller{}, api.Errorf(api.CodeUnauthenticated, "client certificate: it ended at %s, too long ago to be renewed", peer.Certificate.NotAfter)
	}
	id := peer.Identity
	kinds := map[certs.Role]wire.Kind{certs.RoleManager: wire.KindManager, certs.RoleAgent: wire.KindAgent, certs.RoleUser: wire.KindUser}
	kind, ok := kinds[id.Role]
	if !ok || id.Deployment != d.store.Installation().Name {
		return wire.Caller{}, api.Errorf(api.CodeUnauthenticated, "client certificate: %s is no node or user of this installation", id)
	}
	if kind == wire.KindUser {
		return d.userCaller(ctx, peer)
	}
	var revoked bool
	err = d.store.View(ctx, func(r *store.Read) error {
		c, err := r.Certificate(peer.Serial)
		revoked = !c.Revoked.IsZero()
		return err
	})
	if err != nil || revoked {
		return wire.Caller{}, errRevoked()
	}
	return wire.Caller{Kind: kind, Identity: id, Expired: peer.Expired, Credential: "certificate " + peer.Serial}, nil
}

func errRevoked() error {
	return api.Errorf(api.CodeUnauthenticated, "client certificate: it is revoked or was not issued here")
}

// Join is the first call of a machine. Its token is bound to the first key that uses it: the same key gets an answer again, another
// one is refused with an alarm. An agent gets its answer only when its manager knows its key.
func (d *Director) Join(ctx context.Context, in api.JoinRequest) (api.JoinAnswer, error) {
	none := api.JoinAnswer{}
	key, err := ca.ParseCSR([]byte(in.CSR))
	if err != nil {
		return none, api.InField("csr", "%v", err)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return none, api.InField("csr", "%v", err)
	}
	if raw, err := base64.StdEncoding.Strict().DecodeString(string(in.OverlayKey)); err != nil || len(raw) != 32 {
		return none, api.InField("overlay_key", "want a WireGuard public key in base64, 44 characters")
	}
	sum := sha256.Sum256(der)
	t := d.trust.Load()
	var certificate string
	var n store.Node
	var v store.Application
	store.Names(ctx, "node", string(in.Node))
	// Who has no valid token is turned away without a turn to write. For the audit log the token proves who it is, also where the
	// key is refused.
	err = d.store.View(ctx, func(r *store.Read) (err error) {
		if n, v, err = invited(r, in); err == nil {
			r.ProvenNode(n, v)
		}
		return err
	})
	if err == nil {
		// One transaction: who is bound has a certificate.
		err = d.store.Update(ctx, "node.join", func(tx *store.Tx) (err error) {
			if n, v, err = bind(tx, in, hex.EncodeToString(sum[:]), t.name); err == nil {
				certificate, err = d.issue(tx, t, d.identity(v, n), key)
			}
			return err
		})
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return none, api.Errorf(api.CodeForbidden, "node %s: the join token is not valid (any more); the node was given up, or it belongs to another machine", in.Node)
	case errors.Is(err, store.ErrOtherKey):
		d.alarm(ctx, in.Node, "node.token_reused", fmt.Sprintf("a second machine tried to join as node %s with its token", in.Node))
		return none, api.Errorf(api.CodeForbidden, "node %s: the join token has been used with another key", in.Node)
	case errors.Is(err, life.ErrTransition):
		return none, api.Errorf(api.CodeForbidden, "node %s: the node was given up", in.Node)
	case err != nil:
		return none, problem(err)
	}
	d.wake(v.ID)
	parent, err := d.parentOf(ctx, v, n)
	if err != nil {
		return none, err
	}
	if w := d.worker(v.ID); !n.IsManager() && w != nil {
		wait, cancel := context.WithTimeout(ctx, keyWait)
		defer cancel()
		if err := w.link.knows(wait, n.ID, in.OverlayKey); err != nil {
			return none, err
		}
	}
	return api.JoinAnswer{
		Certificate: certificate, CA: string(t.pem), Application: v.ID, Service: n.Service,
		Network: d.network(v), Overlay: n.Overlay, Parent: parent,
	}, nil
}

// invited gives the node, and its application, that the token of a request is of.
func invited(r *store.Read, in api.JoinRequest) (n store.Node, v store.Application, err error) {
	if n, err = r.NodeByJoinToken(in.Node, in.Token); err != nil {
		return n, v, err
	}
	v, err = r.Application(n.Application)
	return n, v, err
}

// bind records the machine's first call: from now on the node is this key's, and it trusts what the answer brings.
func bind(tx *store.Tx, in api.JoinRequest, key, trust string) (n store.Node, v store.Application, err error) {
	if n, v, err = invited(&tx.Read, in); err != nil {
		return n, v, err
	}
	n, err = tx.Step(n.ID, life.NodeJoined, store.NodeChange{
		CSRKey: key, BootID: in.BootID, OverlayKey: in.OverlayKey, DataPlane: in.DataPlane, Version: in.Version, Trust: trust,
	})
	return n, v, err
}

// identity is what a node's certificate says.
func (d *Director) identity(v store.Application, n store.Node) certs.Identity {
	role := certs.RoleAgent
	if n.IsManager() {
		role = certs.RoleManager
	}
	return certs.Identity{
		Deployment: d.store.Installation().Name, Role: role, User: strconv.FormatInt(int64(v.Owner), 10),
		Application: v.ID.String(), Node: string(n.ID),
	}
}

// issue gives a node's certificate, which the database knows when the transaction ends.
func (d *Director) issue(tx *store.Tx, t *trust, id certs.Identity, key any) (certificate string, err error) {
	pem, row, err := t.issue(id, key, time.Now().Add(d.config.Certificates.Node))
	if err != nil {
		return "", err
	}
	_, err = tx.AddCertificate(row)
	return pem, err
}

// issue signs a certificate and gives what the database is to know of it, before it is handed out. It begins with its
// authority, so that no clock is too late for it.
func (t *trust) issue(id certs.Identity, key any, end time.Time) (pem string, row store.Certificate, err error) {
	issued, err := t.signer.Issue(ca.Request{
		Identity: id, PublicKey: key, NotBefore: t.signer.Certificate().NotBefore, NotAfter: end,
		Client: true, Server: id.Role == certs.RoleManager,
	})
	if err != nil {
		return "", row, fmt.Errorf("certificate of %s: %w", id, err)
	}
	return string(issued.PEM), store.Certificate{
		Serial: issued.Serial, Identity: id.String(), Role: string(id.Role), Signer: authorityID(t.signer.Certificate()), NotAfter: issued.NotAfter,
	}, nil
}

// authorityID names an authority as the database does.
func authorityID(c *x509.Certificate) string { return hex.EncodeToString(c.SubjectKeyId) }

// Renew gives a new certificate for the identity of the calling one, while its node or user is of use; serial is that of
// the calling one.
func (d *Director) Renew(ctx context.Context, id certs.Identity, serial string, in api.RenewRequest) (api.RenewAnswer, error) {
	key, err := ca.ParseCSR([]byte(in.CSR))
	if err != nil {
		return api.RenewAnswer{}, api.InField("csr", "%v", err)
	}
	if id.Role == certs.RoleUser {
		return d.renewUser(ctx, id, serial, key)
	}
	n, err := d.node(ctx, api.NodeID(id.Node))
	if err != nil || !acts(n) {
		return api.RenewAnswer{}, api.Errorf(api.CodeForbidden, "node %s is no longer a node of this installation", id.Node)
	}
	t := d.trust.Load()
	answer := api.RenewAnswer{CA: string(t.pem)}
	err = d.store.Update(ctx, "certificate.renewed", func(tx *store.Tx) (err error) {
		answer.Certificate, err = d.issue(tx, t, id, key)
		return err
	})
	return answer, problem(err)
}

// Parent tells an agent where the manager of its application is now.
func (d *Director) Parent(ctx context.Context, id certs.Identity) (api.Parent, error) {
	n, err := d.node(ctx, api.NodeID(id.Node))
	if err != nil || !acts(n) {
		return api.Parent{}, api.Errorf(api.CodeForbidden, "node %s is no longer a node of this installation", id.Node)
	}
	var v store.Application
	err = d.store.View(ctx, func(r *store.Read) error {
		v, err = r.Application(n.Application)
		return err
	})
	if err != nil {
		return api.Parent{}, problem(err)
	}
	return d.parentOf(ctx, v, n)
}

// parentOf gives the component above a node.
func (d *Director) parentOf(ctx context.Context, v store.Application, n store.Node) (api.Parent, error) {
	if n.IsManager() {
		address := d.url.Host
		if p, ok := d.places[n.Cloud]; ok && p.directorAddress() != "" {
			address = p.directorAddress()
		}
		return api.Parent{Address: address, ServerName: d.url.Hostname()}, nil
	}
	var m store.Node
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		m, err = r.Manager(v.ID)
		return err
	})
	if notFound(err) || err == nil && (m.OverlayKey == "" || !m.Address.IsValid()) {
		return api.Parent{}, api.Errorf(api.CodeUnavailable, "the manager of the application is being replaced; try again")
	}
	if err != nil {
		return api.Parent{}, problem(err)
	}
	network := d.network(v)
	parent := api.Parent{
		ServerName:  certs.NodeDNSName(d.store.Installation().Name, v.ID.String(), string(m.ID)),
		Incarnation: v.Incarnation, Relays: api.RelaysFor(n.Cloud, d.relays.all()),
	}
	host := m.Address
	if network.Active {
		outside := m.Address
		if n.Cloud != m.Cloud && m.Public.IsValid() {
			outside = m.Public
		}
		host = m.Overlay
		parent.Peer = &api.Peer{Node: m.ID, Key: m.OverlayKey, Address: m.Overlay, Endpoint: netip.AddrPortFrom(outside, overlayPort)}
	}
	parent.Address = net.JoinHostPort(host.String(), strconv.Itoa(agentPort))
	return parent, nil
}

// actingManager gives the node of a manager's certificate when it is its application's present manager.
func (d *Director) actingManager(ctx context.Context, id certs.Identity) (store.Node, error) {
	n, err := d.node(ctx, api.NodeID(id.Node))
	if err != nil || n.Application.String() != id.Application || !n.IsManager() || !acts(n) {
		return store.Node{}, api.Errorf(api.CodeForbidden, "node %s is not the manager of application %s any more", id.Node, id.Application)
	}
	return n, nil
}

// alarm writes something that somebody should look at into the history of a node's application. It leaves no entry in the
// audit log: what gave the alarm was refused, and its request leaves one that says so.
func (d *Director) alarm(ctx context.Context, node api.NodeID, kind, text string) {
	err := d.store.Update(store.WithTrail(ctx, nil), "alarm", func(tx *store.Tx) error {
		n, err := tx.Node(node)
		if err != nil {
			return err
		}
		_, err = tx.AddEvent(store.Event{Application: n.Application, Service: n.Service, Node: node, Kind: kind, Text: text, Alarm: true})
		return err
	})
	if err != nil {
		d.log.Error("an alarm could not be recorded", "alarm", text, "err", err)
	}
}
