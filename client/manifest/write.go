package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"gopkg.in/yaml.v3"

	"conpaas/client/api"
)

// document is a manifest as it is written, with the keys in their order.
type document struct {
	Application string    `json:"Application" yaml:"Application"`
	Cloud       string    `json:"Cloud,omitempty" yaml:"Cloud,omitempty"`
	Services    []written `json:"Services" yaml:"Services"`
	Volumes     []disk    `json:"Volumes,omitempty" yaml:"Volumes,omitempty"`
}

type disk struct {
	Name    string   `json:"Name" yaml:"Name"`
	Size    int      `json:"Size,omitempty" yaml:"Size,omitempty"`
	Cloud   string   `json:"Cloud,omitempty" yaml:"Cloud,omitempty"`
	Service string   `json:"Service,omitempty" yaml:"Service,omitempty"`
	Role    api.Role `json:"Role,omitempty" yaml:"Role,omitempty"`
}

type written struct {
	ServiceName      string            `json:"ServiceName" yaml:"ServiceName"`
	Type             api.ServiceType   `json:"Type" yaml:"Type"`
	Cloud            string            `json:"Cloud,omitempty" yaml:"Cloud,omitempty"`
	Start            int               `json:"Start" yaml:"Start"`
	StartupInstances map[api.Role]int  `json:"StartupInstances,omitempty" yaml:"StartupInstances,omitempty"`
	StartupScript    string            `json:"StartupScript,omitempty" yaml:"StartupScript,omitempty"`
	Archive          string            `json:"Archive,omitempty" yaml:"Archive,omitempty"`
	Dump             string            `json:"Dump,omitempty" yaml:"Dump,omitempty"`
	Password         string            `json:"Password,omitempty" yaml:"Password,omitempty"`
	Settings         map[string]string `json:"Settings,omitempty" yaml:"Settings,omitempty"`
	Environment      map[string]string `json:"Environment,omitempty" yaml:"Environment,omitempty"`
	Secrets          map[string]string `json:"Secrets,omitempty" yaml:"Secrets,omitempty"`
	Links            []string          `json:"Links,omitempty" yaml:"Links,omitempty"`
}

// document masks the secrets.
func (m Manifest) document() document {
	d := document{Application: m.Application, Cloud: m.Cloud, Services: []written{}}
	for _, s := range m.Services {
		w := written{
			ServiceName: s.Name, Type: s.Type, Cloud: s.Cloud, StartupInstances: s.StartupInstances, StartupScript: s.StartupScript,
			Archive: s.Archive, Dump: s.Dump, Settings: s.Settings, Environment: s.Environment, Links: s.Links,
		}
		if s.Start {
			w.Start = 1
		}
		if s.Password != "" {
			w.Password = Masked
		}
		if len(s.Secrets) > 0 {
			w.Secrets = make(map[string]string, len(s.Secrets))
			for name := range s.Secrets {
				w.Secrets[name] = Masked
			}
		}
		d.Services = append(d.Services, w)
	}
	for _, v := range m.Volumes {
		d.Volumes = append(d.Volumes, disk(v))
	}
	return d
}

// JSON writes a manifest with its secrets masked. Equal manifests give equal bytes.
func (m Manifest) JSON() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m.document()); err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	return out.Bytes(), nil
}

// YAML is JSON in the form of YAML.
func (m Manifest) YAML() ([]byte, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(m.document()); err != nil {
		return nil, fmt.Errorf("write the manifest: %w", err)
	}
	return out.Bytes(), nil
}
