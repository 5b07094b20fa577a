package app

import (
	"context"
	"strings"

	"conpaas/client/api"
	"conpaas/director/store"
)

// Bounds of the secrets that users set, in bytes.
const (
	shortestSecret = 8
	longestSecret  = 128
)

// SetServiceSecret replaces a secret of a service. The operation ends when its machines have the new one.
func (d *Director) SetServiceSecret(ctx context.Context, a Actor, ref, service, name string, in api.SecretChange) (api.Operation, error) {
	return d.operation(ctx, "service.secret", func(tx *store.Tx) (none store.NewOperation, err error) {
		s, err := findService(&tx.Read, a, ref, service, toOperate)
		if err != nil {
			return none, err
		}
		kind, err := d.serviceKind(s.Type)
		if err != nil {
			return none, err
		}
		row, ok := kind.FindSecret(name)
		if !ok || !row.Settable {
			return none, api.Errorf(api.CodeNotFound, "services of type %s have no secret %.40q that can be set", s.Type, name)
		}
		if err := checkSecret(in.Value.Reveal()); err != nil {
			return none, err
		}
		if err := tx.SetServiceSecret(s.Application, s.ID, name, in.Value); err != nil {
			return none, err
		}
		v, err := tx.Application(s.Application)
		return store.NewOperation{Kind: api.OpServiceConfigure, Application: v.ID, Service: s.ID, Revision: v.Revision}, err
	})
}

// checkSecret lets through what every program takes as it is: configuration files, addresses and SQL have no
// need to quote it. It never repeats it.
func checkSecret(value string) error {
	strange := strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("'\"`\\", r) })
	if len(value) < shortestSecret || len(value) > longestSecret || strange || value[0] == '$' { // which php-fpm would take for a variable
		return api.InField("value", "want %d to %d letters, digits and signs of ASCII, without blanks, quotes and backslashes and no $ at the beginning", shortestSecret, longestSecret)
	}
	return nil
}
