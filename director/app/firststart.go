package app

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/director/auth"
	"conpaas/director/store"
)

const (
	adminName = "admin"
	adminFile = "admin-password"
)

// firstStart makes what a data folder must have: the CA, the key that signs code, and the user admin, whose password is
// in admin-password. What is there already stays.
func (d *Director) firstStart(ctx context.Context) error {
	if err := d.ensureCA(ctx); err != nil {
		return err
	}
	key, err := d.ensureCodeKey(ctx)
	if err != nil {
		return err
	}
	if d.code, err = OpenCode(CodeDir(d.config.Dir), d.config.CodeFrom, d.config.Arch, key); err != nil {
		return err
	}
	if err := d.pruneCode(ctx); err != nil {
		return err
	}
	if err := d.ensureAdmin(ctx); err != nil {
		return err
	}
	return d.store.Update(ctx, "credit.opened", func(tx *store.Tx) error {
		return tx.OpenAccounts(d.config.Credit.Initial, "a user from before there were credits")
	})
}

func (d *Director) authorities(ctx context.Context, kind store.AuthorityKind) (found []store.Authority, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		found, err = r.Authorities(kind)
		return err
	})
	return found, err
}

func (d *Director) ensureCodeKey(ctx context.Context) (ed25519.PrivateKey, error) {
	found, err := d.authorities(ctx, store.AuthorityCode)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		block, _ := pem.Decode(found[0].Key)
		if block == nil {
			return nil, fmt.Errorf("the key that signs code is damaged; restore the database from its backup")
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		private, ok := key.(ed25519.PrivateKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("the key that signs code is damaged (%w); restore the database from its backup", err)
		}
		return private, nil
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	err = d.store.Update(ctx, "codekey.created", func(tx *store.Tx) error {
		_, err := tx.AddAuthority(store.AuthorityCode,
			pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER}),
			pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER}), true)
		return err
	})
	return private, err
}

func (d *Director) pruneCode(ctx context.Context) error {
	inUse := make(map[string]bool)
	err := d.store.View(ctx, func(r *store.Read) error {
		versions, err := r.CodeVersions()
		for _, v := range versions {
			inUse[v] = true
		}
		return err
	})
	if err != nil {
		return err
	}
	return d.code.Prune(func(version string) bool { return inUse[version] })
}

// ensureAdmin makes the user admin. The password is on disk before the user is in the database, so that a crash in
// between leaves no user whose password nobody knows.
func (d *Director) ensureAdmin(ctx context.Context) error {
	var users []store.User
	err := d.store.View(ctx, func(r *store.Read) (err error) {
		users, _, err = r.Users(store.Page{Limit: 1})
		return err
	})
	if err != nil || len(users) > 0 {
		return err
	}
	password := auth.NewPassword()
	if err := daemon.WriteFile(filepath.Join(d.config.Dir, adminFile), []byte(password+"\n"), 0o600); err != nil {
		return err
	}
	hash, err := d.passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	return d.store.Update(ctx, "admin.created", func(tx *store.Tx) error {
		_, err := tx.CreateUser(store.User{Name: adminName, Role: api.RoleAdmin, Password: hash, Credit: d.config.Credit.Initial})
		return err
	})
}
