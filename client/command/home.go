package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/director"
)

// The files of the state folder; the topic files explains them.
const (
	fileConfig = "config"
	fileCA     = "ca_cert.pem"
	fileToken  = "token"
	fileKey    = "user.pem"
)

// settings is the file config.
type settings struct {
	Director string `json:"director"`
	Username string `json:"username"`

	Certificate bool `json:"certificate,omitempty"` // the user's in the file user.pem calls, not a token
}

// login is what a login has left behind; its parts may be empty.
type login struct {
	settings  settings
	authority director.Authority
	token     api.Secret
}

// home is the state folder of a user, ~/.conpaas.
type home struct{ dir string }

func (g *Global) home() (home, error) {
	if g.conf != "" {
		return home{g.conf}, nil
	}
	if dir := g.system.Getenv("CONPAAS_HOME"); dir != "" {
		return home{dir}, nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return home{}, fmt.Errorf("find the folder for login and settings: %w; set CONPAAS_HOME or pass --conf", err)
	}
	return home{filepath.Join(dir, ".conpaas")}, nil
}

func (h home) path(name string) string { return filepath.Join(h.dir, name) }

func (h home) load() (login, error) {
	var l login
	config, err := h.read(fileConfig)
	if err != nil {
		return login{}, err
	}
	if len(config) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(config))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&l.settings); err != nil {
			return login{}, fmt.Errorf("read %s: %w; correct it, or log in again", h.path(fileConfig), err)
		}
	}
	ca, err := h.read(fileCA)
	if err != nil {
		return login{}, err
	}
	if len(ca) > 0 {
		if l.authority, err = director.ParseAuthority(ca); err != nil {
			return login{}, fmt.Errorf("read %s: %w; log in again with: cps login URL --ca FILE", h.path(fileCA), err)
		}
	}
	token, err := h.read(fileToken)
	l.token = api.Secret(strings.TrimSpace(string(token)))
	return l, err
}

func (h home) read(name string) ([]byte, error) {
	data, err := os.ReadFile(h.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// save keeps a login where only its owner can read it. The token comes last, so that it never stands beside
// another director's URL or CA.
func (h home) save(l login) error {
	const private = 0o700
	if err := os.MkdirAll(h.dir, private); err != nil {
		return fmt.Errorf("make the folder for the login: %w", err)
	}
	if err := os.Chmod(h.dir, private); err != nil {
		return fmt.Errorf("make %s private: %w", h.dir, err)
	}
	if err := h.forget(); err != nil {
		return err
	}
	config, err := json.MarshalIndent(l.settings, "", "  ")
	if err != nil {
		return err
	}
	files := []struct {
		name string
		data []byte
		mode os.FileMode
	}{
		{fileCA, l.authority.PEM, 0o644},
		{fileConfig, append(config, '\n'), 0o600},
		{fileToken, []byte(l.token.Reveal() + "\n"), 0o600},
	}
	if l.token == "" {
		files = files[:2]
	}
	for _, file := range files {
		if err := daemon.WriteFile(h.path(file.name), file.data, file.mode); err != nil {
			return err
		}
	}
	return nil
}

// forget removes the token.
func (h home) forget() error {
	if err := os.Remove(h.path(fileToken)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the token: %w", err)
	}
	return nil
}
