package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"conpaas/client/daemon"
	"conpaas/client/director"
	"conpaas/client/ui"
)

// readKey reads a user's key with its certificate, which nobody else may be able to read.
func readKey(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w; get one with: cps user get-certificate", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, failf(exitRefused, "%s has a key and others may use the file (mode %04o); make it yours alone with: chmod 600 %s", name, mode, name)
	}
	key, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return key, nil
}

// keepKey makes the certificate that which cps calls by, in the place of a login.
func (h home) keepKey(l login, key []byte) error {
	l.token, l.settings.Certificate = "", false
	if err := h.save(l); err != nil { // first the folder; the old certificate is out of use while it is replaced
		return err
	}
	if err := daemon.WriteFile(h.path(fileKey), key, 0o600); err != nil {
		return err
	}
	l.settings.Certificate = true
	return h.save(l)
}

// forgetKey removes the certificate where cps calls by it.
func (h home) forgetKey() error {
	l, err := h.load()
	if err != nil || !l.settings.Certificate {
		return nil // a broken state folder is for the next login
	}
	l.settings.Certificate = false
	if err := h.save(l); err != nil {
		return err
	}
	if err := os.Remove(h.path(fileKey)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the certificate: %w", err)
	}
	return nil
}

// writeKey puts a certificate and the CA certificates into a folder, for other programs.
func writeKey(dir string, f director.KeyFile) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder for the certificate: %w", err)
	}
	if err := daemon.WriteFile(filepath.Join(dir, fileCA), f.CA, 0o644); err != nil {
		return err
	}
	return daemon.WriteFile(filepath.Join(dir, fileKey), f.PEM, 0o600)
}

// renewKey renews the certificate that a command has called by: after two thirds of its life, counted from when it came here,
// and in a rotation, when a newer authority is about to replace the one that has signed it. As with renewCA the next command
// tries again.
func (g *Global) renewKey(ctx context.Context, c *director.Client) {
	const pause = time.Hour // in a rotation, where the answer may be of the old authority still
	if c.CertificateSerial() == "" {
		return
	}
	now, err := g.connection()
	if err != nil {
		return
	}
	info, err := os.Stat(now.access.key)
	if err != nil {
		return
	}
	age, left := time.Since(info.ModTime()), time.Until(c.CertificateExpires())
	outlived := age > pause && c.CertificateOutlived(now.login.authority.PEM)
	if !outlived && age < 2*left {
		return
	}
	if err := g.replaceKey(ctx, c, now.access.key); err != nil {
		fmt.Fprintln(g.err, ui.Clean(fmt.Sprintf("cps: the certificate in %s, good until %s, was not renewed: %v", now.access.key, at(c.CertificateExpires()), err)))
	}
}

// replaceKey renews the certificate in a file.
func (g *Global) replaceKey(ctx context.Context, c *director.Client, name string) error {
	f, err := c.RenewCertificate(ctx)
	if err != nil {
		return err
	}
	return daemon.WriteFile(name, f.PEM, 0o600)
}
