package login

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"conpaas/client/daemon"
	"conpaas/client/director"
)

// ErrExposed is wrapped by the error about a key that others may read.
var ErrExposed = errors.New("the key is not secret")

// ReadKey reads a user's key with its certificate, which nobody else may be able to read.
func ReadKey(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w; get one with: cps user get-certificate", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%w: %s has a key and others may use the file (mode %04o); make it yours alone with: chmod 600 %s", ErrExposed, name, mode, name)
	}
	key, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return key, nil
}

// KeepKey makes the certificate that which cps calls by, in the place of a login.
func (h Home) KeepKey(l Login, key []byte) error {
	l.Token, l.Settings.Certificate = "", false
	if err := h.Save(l); err != nil { // first the folder; the old certificate is out of use while it is replaced
		return err
	}
	if err := daemon.WriteFile(h.Path(FileKey), key, 0o600); err != nil {
		return err
	}
	l.Settings.Certificate = true
	return h.Save(l)
}

// ForgetKey removes the certificate where cps calls by it.
func (h Home) ForgetKey() error {
	l, err := h.Load()
	if err != nil || !l.Settings.Certificate {
		return nil // a broken state folder is for the next login
	}
	l.Settings.Certificate = false
	if err := h.Save(l); err != nil {
		return err
	}
	if err := os.Remove(h.Path(FileKey)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the certificate: %w", err)
	}
	return nil
}

// WriteKey puts a certificate and the CA certificates into a folder, for other programs.
func WriteKey(dir string, f director.KeyFile) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder for the certificate: %w", err)
	}
	if err := daemon.WriteFile(filepath.Join(dir, FileCA), f.CA, 0o644); err != nil {
		return err
	}
	return daemon.WriteFile(filepath.Join(dir, FileKey), f.PEM, 0o600)
}

// Client gives a client that speaks for the user of the last login.
func (h Home) Client() (*director.Client, error) {
	l, err := h.Load()
	if err != nil {
		return nil, err
	}
	config := director.Config{URL: l.Settings.Director, CA: l.Authority.PEM, Token: l.Token}
	if l.Settings.Certificate {
		if config.Key, err = ReadKey(h.Path(FileKey)); err != nil {
			return nil, err
		}
	}
	if config.URL == "" || len(config.CA) == 0 || config.Token == "" && len(config.Key) == 0 {
		return nil, fmt.Errorf("not logged in (%s); log in first: cps login URL", h.Dir)
	}
	return director.New(config)
}
