package command_test

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"conpaas/client/api"
)

// environmentRoutes are of services with one environment and one script in common.
func (f *fake) environmentRoutes(add func(pattern, query string, public bool, h func(http.ResponseWriter, *http.Request)), service string) {
	add("GET "+service+"/environment", "", false, f.withService(func(w http.ResponseWriter, _ *http.Request, _ *api.Service) {
		answer(w, http.StatusOK, f.environment)
	}))
	add("PUT "+service+"/environment", "", false, f.withService(f.changeEnvironment))
	add("GET "+service+"/script", "", false, f.withService(func(w http.ResponseWriter, _ *http.Request, s *api.Service) {
		if f.script.Script == "" {
			problem(w, api.Errorf(api.CodeNotFound, "service %q has no start-up script", s.Name))
			return
		}
		answer(w, http.StatusOK, f.script)
	}))
	add("PUT "+service+"/script", "", false, f.withService(func(w http.ResponseWriter, r *http.Request, _ *api.Service) {
		if in, ok := body[api.ScriptChange](f, w, r); ok {
			f.script = api.Script{Script: in.Script, Seconds: in.Seconds, Changed: begun}
			answer(w, http.StatusOK, f.script)
		}
	}))
	add("DELETE "+service+"/script", "", false, f.withService(func(w http.ResponseWriter, _ *http.Request, _ *api.Service) {
		f.script = api.Script{}
		w.WriteHeader(http.StatusNoContent)
	}))
}

func (f *fake) changeEnvironment(w http.ResponseWriter, r *http.Request, s *api.Service) {
	in, ok := body[api.EnvironmentChange](f, w, r)
	if !ok {
		return
	}
	forget := func(name string) {
		f.environment.Variables = slices.DeleteFunc(f.environment.Variables, func(v api.Variable) bool { return v.Name == name })
	}
	put := func(v api.Variable) {
		forget(v.Name)
		f.environment.Variables = append(f.environment.Variables, v)
	}
	for name, value := range in.Set {
		put(api.Variable{Name: name, Value: value, From: api.FromVariable})
	}
	for name, value := range in.Secrets {
		if strings.ContainsAny(value.Reveal(), "\r\n") {
			f.mistake(r, "the line break at the end of a file belongs to no secret")
		}
		put(api.Variable{Name: name, Value: api.Masked, From: api.FromSecret})
	}
	for _, name := range in.Unset {
		forget(name)
	}
	for _, target := range in.Link {
		if target == s.Name {
			problem(w, api.InField("link", "service %q cannot be linked with itself", s.Name))
			return
		}
		put(api.Variable{Name: strings.ToUpper(target) + "_HOST", Value: target + ".shop.internal", From: api.FromLink, Link: target})
	}
	for _, target := range in.Unlink {
		forget(strings.ToUpper(target) + "_HOST")
	}
	f.begin(api.OpServiceConfigure)(w, r)
}

// serviceLog breaks off once where it is followed, and is then no more.
func (f *fake) serviceLog(w http.ResponseWriter, r *http.Request, s *api.Service) {
	if r.URL.Query().Get("follow") != "true" {
		text(w, r, "service")
		return
	}
	switch f.follows++; f.follows {
	case 1:
		breakOff(w, "n2 nginx: one\nn3 nginx: tw")
	case 2:
		_, _ = io.WriteString(w, "n2 nginx: lines="+r.URL.Query().Get("lines")+"\n")
	default:
		problem(w, api.Errorf(api.CodeNotFound, "there is no service %q", s.Name))
	}
}
