package command_test

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"conpaas/certs"
	"conpaas/certs/ca"
	"conpaas/client/api"
)

// newUsers are alice, who calls, and somebody else.
func newUsers() []api.User {
	return []api.User{
		{ID: 1, Name: fakeUser, Role: api.RoleAdmin, Created: begun, Profile: api.Profile{Email: "alice@example.org"}},
		{ID: 2, Name: "bob", Role: api.RoleUser, Created: begun},
	}
}

// credit is what the users of the fake have: alice little, and bob nothing that he spends.
func credit(u api.User) api.Credit {
	if u.Name != fakeUser {
		return api.Credit{ID: u.ID, User: u.Name, Balance: 50}
	}
	ends := time.Now().Add(2*time.Hour + 20*time.Minute)
	return api.Credit{ID: u.ID, User: u.Name, Balance: 7, Machines: 3, Ends: &ends, Low: true}
}

func (f *fake) creditRoutes(add adder) {
	const one = "/v1/users/{user}/credit"
	add("GET /v1/credits", "after", false, func(w http.ResponseWriter, r *http.Request) {
		all := []api.Credit{}
		for _, u := range f.users {
			c := credit(u)
			c.Unlimited, c.Low, c.Ends = u.Role == api.RoleAdmin, false, nil
			all = append(all, c)
		}
		list(f, w, r, all)
	})
	add("GET "+one, "", false, f.withUser(func(w http.ResponseWriter, _ *http.Request, u *api.User) {
		c := credit(*u)
		if !f.mode["low-credit"] {
			c.Unlimited, c.Low, c.Ends = u.Name == fakeUser, false, nil
		}
		answer(w, http.StatusOK, c)
	}))
	add("POST "+one, "", false, f.withUser(func(w http.ResponseWriter, r *http.Request, u *api.User) {
		if in, ok := body[api.CreditChange](f, w, r); ok {
			c := credit(*u)
			entry := api.CreditEntry{ID: 9, Time: begun, Kind: api.CreditGrant, Amount: max(in.Amount, -c.Balance), By: fakeUser, Reason: in.Reason}
			c.Balance += entry.Amount
			answer(w, http.StatusOK, api.CreditChanged{Credit: c, Entry: entry})
		}
	}))
	entries := []api.CreditEntry{
		{ID: 1, Time: begun, Kind: api.CreditInitial, Amount: 50, Balance: 50, Reason: "a new user"},
		{ID: 2, Time: begun.Add(time.Hour), Kind: api.CreditHour, Amount: -1, Balance: 49, Application: 1, Node: "n1"},
		{ID: 3, Time: begun.Add(2 * time.Hour), Kind: api.CreditHour, Amount: -1, Balance: 48, Application: 1, Node: "n1", Hour: 1},
		{ID: 4, Time: begun.Add(2 * time.Hour), Kind: api.CreditGrant, Amount: 10, Balance: 58, By: fakeUser, Reason: "order 4711"},
	}
	add("GET "+one+"/entries", "after application node", false, f.withUser(func(w http.ResponseWriter, r *http.Request, _ *api.User) {
		shown := entries
		if r.URL.Query().Get("node") != "" {
			shown = entries[1:3]
		}
		list(f, w, r, shown)
	}))
	add("GET "+one+"/nodes", "after application node", false, f.withUser(func(w http.ResponseWriter, r *http.Request, _ *api.User) {
		list(f, w, r, []api.NodeCredit{{Node: "n1", Application: 1, Hours: 2, Credits: 2, First: begun.Add(time.Hour), Last: begun.Add(2 * time.Hour)}})
	}))
}

type adder = func(pattern, query string, public bool, h func(w http.ResponseWriter, r *http.Request))

func (f *fake) userRoutes(add adder) {
	const one = "/v1/users/{user}"
	show := func(w http.ResponseWriter, r *http.Request, u *api.User) {
		shown := *u
		if r.PathValue("user") == "me" && !f.mode["admin"] {
			shown.Role = api.RoleUser
		}
		answer(w, http.StatusOK, shown)
	}
	add("GET /v1/users", "after", false, func(w http.ResponseWriter, r *http.Request) { list(f, w, r, f.users) })
	add("POST /v1/users", "", false, f.createUser)
	add("POST /v1/register", "", true, func(w http.ResponseWriter, r *http.Request) {
		in, ok := body[api.UserCreate](f, w, r)
		switch {
		case !ok:
		case !f.mode["registration"]:
			problem(w, api.Errorf(api.CodeForbidden, "nobody registers at this installation"))
		case in.Name != fakeUser || in.Password.Reveal() != fakePassword:
			problem(w, api.Errorf(api.CodeConflict, "this name cannot be had; choose another"))
		default:
			answer(w, http.StatusCreated, api.User{ID: 1, Name: in.Name, Role: api.RoleUser, Created: begun, Profile: in.Profile})
		}
	})
	add("GET "+one, "", false, f.withUser(show))
	add("GET "+one+"/export", "", false, f.withUser(func(w http.ResponseWriter, _ *http.Request, u *api.User) {
		if f.mode["export-breaks"] {
			breakOff(w, `{"user":{"id":1`)
		}
		answer(w, http.StatusOK, api.UserExport{User: *u, Tokens: []api.UserToken{}, Certificates: []api.UserCertificate{}, Applications: f.apps[:1], Events: []api.Event{}})
	}))
	add("PATCH "+one, "", false, f.withUser(f.changeUser))
	add("POST "+one+"/password", "", false, f.withUser(f.changePassword))
	add("DELETE "+one, "with_applications", false, f.withUser(func(w http.ResponseWriter, r *http.Request, u *api.User) {
		if r.URL.Query().Get("with_applications") == "true" {
			u.Deleting = &api.UserDeletion{Since: begun, Applications: []string{`"shop" (being deleted)`}}
		} else if u.Name == fakeUser {
			problem(w, api.Errorf(api.CodeConflict, "user %q still has the applications \"shop\" (RUNNING); they have to be deleted first", u.Name))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
}

func (f *fake) certificateRoutes(add adder) {
	const all = "/v1/users/{user}/certificates"
	soon := time.Now().AddDate(0, 0, 10)
	add("GET "+all, "after", false, f.withUser(func(w http.ResponseWriter, r *http.Request, _ *api.User) {
		certificates := []api.UserCertificate{}
		if f.mode["certificates"] {
			certificates = append(certificates, api.UserCertificate{ID: 7, Serial: "0f3a", Name: "laptop", Created: begun, Expires: soon, Used: &begun})
		}
		list(f, w, r, certificates)
	}))
	add("POST "+all, "", false, f.withUser(func(w http.ResponseWriter, r *http.Request, _ *api.User) {
		in, ok := body[api.CertificateCreate](f, w, r)
		switch {
		case !ok:
		case f.caller(r) == "" || len(r.TLS.PeerCertificates) > 0:
			problem(w, api.Errorf(api.CodeForbidden, "a certificate makes no certificates"))
		default:
			certificate := f.certify(in.CSR, time.Duration(in.Seconds)*time.Second)
			shown := api.UserCertificate{ID: 8, Serial: "ab", Name: in.Name, Created: begun, Expires: begun}
			answer(w, http.StatusCreated, api.CertificateCreated{UserCertificate: shown, Certificate: certificate, CA: string(f.caPEM())})
		}
	}))
	add("DELETE "+all, "", false, f.withUser(func(w http.ResponseWriter, _ *http.Request, _ *api.User) { w.WriteHeader(http.StatusNoContent) }))
	add("DELETE "+all+"/{certificate}", "", false, f.withUser(func(w http.ResponseWriter, r *http.Request, _ *api.User) {
		if name := r.PathValue("certificate"); name != "laptop" && len(name) != 32 {
			problem(w, api.Errorf(api.CodeNotFound, "certificate %q: not found", name))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	add("POST /v1/renew", "", false, func(w http.ResponseWriter, r *http.Request) {
		if in, ok := body[api.RenewRequest](f, w, r); ok {
			answer(w, http.StatusOK, api.RenewAnswer{Certificate: f.certify(in.CSR, time.Hour), CA: string(f.caPEM())})
		}
	})
	add("GET /v1/ca/certificates", "after role expiring revoked", false, func(w http.ResponseWriter, r *http.Request) {
		list(f, w, r, []api.Certificate{
			{ID: 2, Serial: "0f3b", Role: "agent", User: fakeUser, Application: "1", Node: "n2", Created: begun, Expires: begun.AddDate(0, 1, 0)},
			{ID: 1, Serial: "0f3a", Role: "user", User: fakeUser, Name: r.URL.Query().Encode(), Created: begun, Expires: begun.AddDate(0, 0, 1)},
		})
	})
	const factor = "/v1/users/{user}/totp"
	add("POST "+factor, "", false, f.withUser(func(w http.ResponseWriter, r *http.Request, _ *api.User) {
		if in, ok := body[api.TOTPBegin](f, w, r); ok && in.Password.Reveal() != fakePassword {
			problem(w, api.InField("password", "this is not your password"))
		} else if ok {
			answer(w, http.StatusCreated, api.TOTPSecret{Secret: "ABCD", URL: "otpauth://totp/ConPaaS:alice?secret=ABCD"})
		}
	}))
	add("POST "+factor+"/confirm", "", false, f.withUser(func(w http.ResponseWriter, r *http.Request, _ *api.User) {
		if in, ok := body[api.TOTPConfirm](f, w, r); ok && in.Code != "123456" {
			problem(w, api.InField("code", "this is not the code of now"))
		} else if ok {
			answer(w, http.StatusOK, api.RecoveryCodes{Codes: []api.Secret{"aaaaa-bbbbb", "ccccc-ddddd"}})
		}
	}))
	add("POST "+factor+"/end", "", false, f.withUser(func(w http.ResponseWriter, r *http.Request, u *api.User) {
		if in, ok := body[api.TOTPEnd](f, w, r); ok && u.Name == fakeUser && in.Code != "123456" {
			problem(w, api.InField("code", "wrong password or code"))
		} else if ok {
			w.WriteHeader(http.StatusNoContent)
		}
	}))
}

// certify signs what cps asks a certificate for.
func (f *fake) certify(csr string, life time.Duration) string {
	key, err := ca.ParseCSR([]byte(csr))
	if err != nil {
		panic(err)
	}
	id := certs.Identity{Deployment: "conpaas", Role: certs.RoleUser, User: "1"}
	issued, err := f.clients.Issue(ca.Request{Identity: id, PublicKey: key, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(life), Client: true})
	if err != nil {
		panic(err)
	}
	return string(issued.PEM)
}

func (f *fake) tokenRoutes(add adder) {
	const all = "/v1/users/{user}/tokens"
	used := begun.AddDate(0, 0, 1)
	tokens := []api.UserToken{{ID: 4, Created: begun, Expires: used, Used: &used}, {ID: 5, Name: "ci", Created: begun, Expires: begun.AddDate(0, 1, 0)}}
	add("GET "+all, "after", false, f.withUser(func(w http.ResponseWriter, r *http.Request, _ *api.User) { list(f, w, r, tokens) }))
	add("POST "+all, "", false, f.withUser(func(w http.ResponseWriter, r *http.Request, _ *api.User) {
		if in, ok := body[api.TokenCreate](f, w, r); ok {
			made := api.UserToken{ID: 6, Name: in.Name, Created: begun, Expires: begun.Add(time.Duration(in.Seconds) * time.Second)}
			answer(w, http.StatusCreated, api.TokenCreated{UserToken: made, Token: "cps_secret"})
		}
	}))
	add("DELETE "+all+"/{token}", "", false, f.withUser(func(w http.ResponseWriter, r *http.Request, u *api.User) {
		if token := r.PathValue("token"); token != "ci" && token != "5" || u.Name != fakeUser {
			problem(w, api.Errorf(api.CodeNotFound, "token %q: not found", token))
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
}

func (f *fake) withUser(h func(http.ResponseWriter, *http.Request, *api.User)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ref := r.PathValue("user")
		for i, u := range f.users {
			if u.Name == ref || strconv.FormatInt(int64(u.ID), 10) == ref || ref == "me" && u.Name == f.caller(r) {
				h(w, r, &f.users[i])
				return
			}
		}
		problem(w, api.Errorf(api.CodeNotFound, "user %q: not found", ref))
	}
}

func (f *fake) createUser(w http.ResponseWriter, r *http.Request) {
	in, ok := body[api.UserCreate](f, w, r)
	if !ok {
		return
	}
	if in.Password.Reveal() != fakePassword {
		problem(w, api.InField("password", "password refused: it has %d bytes", len(in.Password)))
		return
	}
	u := api.User{ID: 3, Name: in.Name, Role: cmp.Or(in.Role, api.RoleUser), Created: begun, Profile: in.Profile}
	f.users = append(f.users, u)
	answer(w, http.StatusCreated, u)
}

func (f *fake) changeUser(w http.ResponseWriter, r *http.Request, u *api.User) {
	in, ok := body[api.UserChange](f, w, r)
	if !ok {
		return
	}
	if in.Role != nil {
		u.Role = *in.Role
	}
	if in.Disabled != nil {
		u.Disabled = *in.Disabled
	}
	for _, field := range []struct{ to, from *string }{
		{&u.Email, in.Email}, {&u.FirstName, in.FirstName}, {&u.LastName, in.LastName}, {&u.Affiliation, in.Affiliation},
	} {
		if field.from != nil {
			*field.to = *field.from
		}
	}
	answer(w, http.StatusOK, u)
}

func (f *fake) changePassword(w http.ResponseWriter, r *http.Request, u *api.User) {
	in, ok := body[api.PasswordChange](f, w, r)
	switch {
	case !ok:
	case u.Name == fakeUser && in.Old.Reveal() != fakePassword:
		problem(w, api.InField("old", "this is not your password"))
	case u.Name != fakeUser && in.Old != "":
		f.mistake(r, "the old password of another user")
	case in.New.Reveal() != "another horse":
		f.mistake(r, "new password "+in.New.Reveal())
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
