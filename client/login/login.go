// Package login is the state folder of a user, ~/.conpaas: which director was logged in to last, as whom, and what proves it.
//
// It knows files and the typed client, and nothing of commands or terminals.
package login

import (
	"bytes"
	"cmp"
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

// The files of the state folder; cps help files explains them.
const (
	FileConfig = "config"
	FileCA     = "ca_cert.pem"
	FileToken  = "token"
	FileKey    = "user.pem" // key and certificate of the user
)

// Settings is the file config.
type Settings struct {
	Director string `json:"director"`
	Username string `json:"username"`

	Certificate bool `json:"certificate,omitempty"` // the user's in the file user.pem calls, not a token
}

// Login is what a login has left behind; its parts may be empty.
type Login struct {
	Settings  Settings
	Authority director.Authority // CA certificates that are trusted
	Token     api.Secret
}

// Home is the state folder of a user.
type Home struct{ Dir string }

// Find gives the state folder: the one that is named, that of CONPAAS_HOME, or ~/.conpaas.
func Find(named string, getenv func(string) string) (Home, error) {
	if dir := cmp.Or(named, getenv("CONPAAS_HOME")); dir != "" {
		return Home{dir}, nil
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return Home{}, fmt.Errorf("find the folder for login and settings: %w; set CONPAAS_HOME or pass --conf", err)
	}
	return Home{filepath.Join(dir, ".conpaas")}, nil
}

// Path gives one of the files.
func (h Home) Path(name string) string { return filepath.Join(h.Dir, name) }

// Load gives the last login; what is not there is empty.
func (h Home) Load() (Login, error) {
	var l Login
	config, err := h.read(FileConfig)
	if err != nil {
		return Login{}, err
	}
	if len(config) > 0 {
		decoder := json.NewDecoder(bytes.NewReader(config))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&l.Settings); err != nil {
			return Login{}, fmt.Errorf("read %s: %w; correct it, or log in again", h.Path(FileConfig), err)
		}
	}
	ca, err := h.read(FileCA)
	if err != nil {
		return Login{}, err
	}
	if len(ca) > 0 {
		if l.Authority, err = director.ParseAuthority(ca); err != nil {
			return Login{}, fmt.Errorf("read %s: %w; log in again with: cps login URL --ca FILE", h.Path(FileCA), err)
		}
	}
	token, err := h.read(FileToken)
	l.Token = api.Secret(strings.TrimSpace(string(token)))
	return l, err
}

func (h Home) read(name string) ([]byte, error) {
	data, err := os.ReadFile(h.Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Save keeps a login where only its owner can read it. The token comes last, so that it never stands beside
// another director's URL or CA.
func (h Home) Save(l Login) error {
	const private = 0o700
	if err := os.MkdirAll(h.Dir, private); err != nil {
		return fmt.Errorf("make the folder for the login: %w", err)
	}
	if err := os.Chmod(h.Dir, private); err != nil {
		return fmt.Errorf("make %s private: %w", h.Dir, err)
	}
	if err := h.Forget(); err != nil {
		return err
	}
	config, err := json.MarshalIndent(l.Settings, "", "  ")
	if err != nil {
		return err
	}
	files := []struct {
		name string
		data []byte
		mode os.FileMode
	}{
		{FileCA, l.Authority.PEM, 0o644},
		{FileConfig, append(config, '\n'), 0o600},
		{FileToken, []byte(l.Token.Reveal() + "\n"), 0o600},
	}
	if l.Token == "" {
		files = files[:2]
	}
	for _, file := range files {
		if err := daemon.WriteFile(h.Path(file.name), file.data, file.mode); err != nil {
			return err
		}
	}
	return nil
}

// Forget removes the token.
func (h Home) Forget() error {
	if err := os.Remove(h.Path(FileToken)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the token: %w", err)
	}
	return nil
}
