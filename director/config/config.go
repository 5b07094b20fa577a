package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"

	"conpaas/client/api"
	"conpaas/director/cloud"
	"conpaas/vpn"
)

// DefaultFile is where the configuration is looked for when none is named.
const DefaultFile = "/etc/cpsdirector/director.cfg"

// DefaultCloud is the name of the cloud of section [iaas].
const DefaultCloud = "default"

// Options are what the configuration depends on from outside.
type Options struct {
	Kinds map[string][]cloud.Option // every kind of cloud that this version has, by its name
	Dir   string                    // data directory where USERDATA_DIR says nothing; default /var/lib/cpsdirector
	Host  string                    // host of DIRECTOR_URL where that is not given; default localhost
}

// Config is a checked configuration.
type Config struct {
	File       string   // "" when there is none
	Deployment string   // DEPLOYMENT_NAME
	VPN        VPN      // of every application
	Clouds     []Cloud  // the default one first
	MaxVMs     int      // MAX_VMS_ALL_CLOUDS: machines of this installation; 0: no limit
	Debug      bool     // DEBUG
	Dir        string   // USERDATA_DIR, absolute
	Database   string   // file of DATABASE_URI, absolute
	URL        *url.URL // DIRECTOR_URL: https, with a port and without a path
	Lives      Lives    // of certificates and of the audit log

	InitialCredit int64 // INITIAL_CREDIT: of new users
	MaxCredit     int64 // MAX_CREDIT: the most that may be asked for with a new user

	SelfRegistration bool // SELF_REGISTRATION: whoever reaches the director may make an account

	Notes []string // what the administrator should know although it is no error
}

// VPN is how the overlay networks are laid out.
type VPN struct {
	Plan      vpn.Plan
	Bootstrap []BootstrapNode // VPN_BOOTSTRAP_NODES
	RelayPort int             // RELAY_PORT: UDP port of the director's relay; 0: the number of its TCP port; -1: no relay
}

// BootstrapNode is a relay on a machine of its own.
type BootstrapNode struct {
	Endpoint netip.AddrPort
	Key      api.OverlayKey // of the relay
}

// Cloud is one configured cloud.
type Cloud struct {
	Name            string
	Kind            string
	Options         map[string]string // every option of the kind; defaults are filled in
	DirectorAddress string            // host:port that its machines dial; "": what DIRECTOR_URL says
	MaxVMs          int               // MAX_VMS: machines of this installation on it; 0: no limit

	secret map[string]bool
}

// Load reads a file. The name "" means DefaultFile, and defaults where that does not exist. The error has a line for everything
// that is wrong.
func Load(file string, o Options) (*Config, error) {
	named := file != ""
	if !named {
		file = DefaultFile
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return Parse("", nil, o)
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := Parse(file, text, o)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	if c.hasSecret() && info.Mode().Perm()&0o004 != 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("%s holds passwords and everybody on this host can read it: chmod o-r %s", file, file))
	}
	return c, nil
}

// Parse reads the text of a configuration; file is what errors call it. Empty text gives the defaults: the cloud local and a
// database in the data directory.
func Parse(file string, text []byte, o Options) (*Config, error) {
	if o.Dir == "" {
		o.Dir = "/var/lib/cpsdirector"
	}
	if o.Host == "" {
		o.Host = "localhost"
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	o.Dir = dir
	r := &reader{file: file, options: o}
	r.parse(text)
	c := &Config{File: file}
	if len(r.problems) == 0 { // what follows would only repeat that lines are missing
		r.general(c)
		r.director(c)
		r.network(c)
		r.clouds(c)
		r.unused()
	}
	if len(r.problems) > 0 {
		return nil, r.error()
	}
	c.Notes = r.notes
	return c, nil
}

func (c *Config) hasSecret() bool {
	for _, cloud := range c.Clouds {
		for name, value := range cloud.Options {
			if cloud.secret[name] && value != "" {
				return true
			}
		}
	}
	return false
}
