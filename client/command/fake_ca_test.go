package command_test

import (
	"crypto/x509"
	"net/http"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/client/api"
)

// roots are the CA certificates in force: those that vouch for the server, and a second one in a rotation.
func (f *fake) roots() []*x509.Certificate {
	roots := []*x509.Certificate{f.server.Certificate()}
	if f.mode["rotating"] {
		roots = append(roots, f.next)
	}
	return roots
}

func (f *fake) bundleName() string { return certs.BundleName(f.roots()) }

func newAuthority() *ca.Authority {
	a, err := ca.New("conpaas", time.Now().AddDate(0, 0, -1), 2*365*24*time.Hour)
	if err != nil {
		panic(err)
	}
	return a
}

func (f *fake) bundle(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, api.CABundle{Certificates: string(certs.CertificatePEM(f.roots()...)), Name: f.bundleName()})
}

func (f *fake) caState() api.CAState {
	old := api.Authority{Fingerprint: "SHA256:OLD", Created: begun, Ends: begun.AddDate(10, 0, 0), Serves: true}
	if f.mode["ca-ends"] {
		old.Ends = time.Now().AddDate(0, 0, 10)
	}
	if !f.mode["rotating"] {
		old.Signs = true
		return api.CAState{Step: api.CASettled, Authorities: []api.Authority{old}}
	}
	state := api.CAState{Step: api.CARenewing, Waiting: 21, Nodes: []api.NodeID{"n1", "n2"}}
	state.Authorities = []api.Authority{{Fingerprint: "SHA256:NEW", Created: begun.Add(time.Hour), Ends: begun.AddDate(10, 0, 0), Signs: true}, old}
	return state
}

func (f *fake) showCA(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, f.caState()) }

func (f *fake) rotateCA(w http.ResponseWriter, _ *http.Request) {
	if f.mode["rotating"] {
		problem(w, api.Errorf(api.CodeConflict, "a rotation is under way"))
		return
	}
	f.mode["rotating"] = true
	answer(w, http.StatusOK, f.caState())
}

func (f *fake) retireCA(w http.ResponseWriter, r *http.Request) {
	in, ok := body[api.CARetire](f, w, r)
	switch {
	case !ok:
	case !in.Force:
		problem(w, api.Errorf(api.CodeConflict, "the rotation waits for 21 nodes"))
	default:
		f.mode["rotating"] = false
		answer(w, http.StatusOK, f.caState())
	}
}
