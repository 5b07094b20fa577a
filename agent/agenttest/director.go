package agenttest

import (
	"encoding/json"
	"net/http"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/certs/mtls"
	"conpaas/client/api"
)

// join is POST /v1/join of a director that gives every node what it asks for.
func (p *Parent) join(w http.ResponseWriter, r *http.Request) {
	var in api.JoinRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, err)
		return
	}
	if in.Token != "token-of-"+api.Secret(in.Node) {
		refuse(w, api.Errorf(api.CodeUnauthenticated, "the token is not that of node %s", in.Node))
		return
	}
	issued, err := p.issue(string(in.Node), in.CSR)
	if err != nil {
		refuse(w, err)
		return
	}
	overlay := p.Overlay(in.Node)
	if p.options.Joined != nil {
		p.options.Joined(in, overlay)
	}
	p.mu.Lock()
	answer := api.JoinAnswer{
		Certificate: string(issued.PEM), CA: string(p.authority.CertificatePEM()), Application: Application, Service: Service,
		Network: p.Network(), Overlay: overlay, Parent: p.parent,
	}
	p.mu.Unlock()
	reply(w, answer)
}

// renew is POST /v1/renew.
func (p *Parent) renew(w http.ResponseWriter, r *http.Request) {
	identity, err := p.caller(r)
	var in api.RenewRequest
	if err == nil {
		err = json.NewDecoder(r.Body).Decode(&in)
	}
	var issued ca.Issued
	if err == nil {
		issued, err = p.issue(identity.Node, in.CSR)
	}
	if err != nil {
		refuse(w, err)
		return
	}
	reply(w, api.RenewAnswer{Certificate: string(issued.PEM), CA: string(p.authority.CertificatePEM())})
}

// findParent is GET /v1/parent.
func (p *Parent) findParent(w http.ResponseWriter, r *http.Request) {
	if _, err := p.caller(r); err != nil {
		refuse(w, err)
		return
	}
	p.lookups.Add(1)
	p.mu.Lock()
	parent := p.parent
	p.mu.Unlock()
	reply(w, parent)
}

func (p *Parent) issue(node, csr string) (ca.Issued, error) {
	key, err := ca.ParseCSR([]byte(csr))
	if err != nil {
		return ca.Issued{}, api.InField("csr", "%v", err)
	}
	return p.authority.Issue(ca.Request{
		Identity:  certs.Identity{Deployment: Deployment, Role: certs.RoleAgent, User: "1", Application: Application.String(), Node: node},
		PublicKey: key, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), Client: true,
	})
}

// caller gives the agent that calls.
func (p *Parent) caller(r *http.Request) (certs.Identity, error) {
	pool, err := certs.Pool(p.authority.CertificatePEM())
	if err != nil {
		return certs.Identity{}, err
	}
	peer, err := mtls.Verify(r.TLS, pool, time.Now())
	if err == nil && peer.Identity.Role != certs.RoleAgent {
		err = api.Errorf(api.CodeForbidden, "%s is no agent", peer.Identity)
	}
	if err != nil {
		return certs.Identity{}, err
	}
	return peer.Identity, nil
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(body)
}

// refuse answers with an error; nil is none.
func refuse(w http.ResponseWriter, err error) {
	if err == nil {
		return
	}
	problem := api.Errorf(api.CodeForbidden, "%v", err)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(problem.Status)
	json.NewEncoder(w).Encode(problem)
}
