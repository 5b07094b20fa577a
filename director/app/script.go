package app

import (
	"cmp"
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"conpaas/client/api"
	"conpaas/director/store"
)

// Script gives the start-up script of a service. It may hold secrets, so it is for those who may operate the service.
func (d *Director) Script(ctx context.Context, a Actor, ref, service string) (out api.Script, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		s, err := findService(r, a, ref, service, toOperate)
		if err != nil {
			return err
		}
		out, err = scriptOf(r, s)
		return err
	})
	return out, problem(err)
}

func scriptOf(r *store.Read, s store.Service) (api.Script, error) {
	all, err := r.Scripts(s.Application)
	if err != nil {
		return api.Script{}, err
	}
	script, ok := all[s.ID]
	if !ok {
		return api.Script{}, api.Errorf(api.CodeNotFound, "service %q has no start-up script; give it one with: cps service script set", s.Name)
	}
	return api.Script{Script: script.Text, Seconds: int(script.Limit / time.Second), Changed: script.Changed}, nil
}

// SetScript gives a service a start-up script, which runs on machines that are made later, and on those where an
// earlier one has failed.
func (d *Director) SetScript(ctx context.Context, a Actor, ref, service string, in api.ScriptChange) (out api.Script, err error) {
	in.Seconds = cmp.Or(in.Seconds, api.ScriptSeconds)
	text := in.Script.Reveal()
	switch {
	case strings.TrimSpace(text) == "":
		return out, api.InField("script", "it is empty; to have none: cps service script remove")
	case len(text) > api.ScriptMax:
		return out, api.InField("script", "it has %d bytes; at most %d are allowed", len(text), api.ScriptMax)
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return out, api.InField("script", "want text, in UTF-8")
	case in.Seconds < 1 || in.Seconds > api.ScriptSecondsLimit:
		return out, api.InField("seconds", "want 1 to %d", api.ScriptSecondsLimit)
	}
	var s store.Service
	err = d.store.Update(ctx, "service.script", func(tx *store.Tx) (err error) {
		if s, err = findService(&tx.Read, a, ref, service, toOperate); err != nil {
			return err
		}
		if err := tx.SetScript(s.Application, s.ID, store.Script{Text: in.Script, Limit: time.Duration(in.Seconds) * time.Second}); err != nil {
			return err
		}
		out, err = scriptOf(&tx.Read, s)
		return err
	})
	if err != nil {
		return out, problem(err)
	}
	d.wakeFor(ctx, s.Application)
	return out, nil
}

// RemoveScript takes the start-up script of a service away. Where it runs now it is ended, and machines where it has failed
// go on without it.
func (d *Director) RemoveScript(ctx context.Context, a Actor, ref, service string) error {
	var s store.Service
	err := d.store.Update(ctx, "service.script", func(tx *store.Tx) (err error) {
		if s, err = findService(&tx.Read, a, ref, service, toOperate); err != nil {
			return err
		}
		return tx.RemoveScript(s.Application, s.ID)
	})
	if err != nil {
		return problem(err)
	}
	d.wakeFor(ctx, s.Application)
	return nil
}

// startup gives the script of a service as its machines get it; nil for none.
func startup(script store.Script, env map[string]api.Secret) *api.Startup {
	if script.Text == "" {
		return nil
	}
	return &api.Startup{Script: script.Text, Seconds: int(script.Limit / time.Second), Env: env}
}
