package command

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"conpaas/client/api"
	"conpaas/client/director"
	"conpaas/client/manifest"
)

// liveApplication gives an application of that name or id as a manifest would say it; nil where there is none.
func liveApplication(ctx context.Context, c *director.Client, ref string) (*manifest.Live, api.Application, error) {
	a, err := c.Application(ctx, ref)
	if api.CodeFrom(err) == api.CodeNotFound {
		return nil, a, nil
	}
	if err != nil {
		return nil, a, err
	}
	live := &manifest.Live{
		Manifest: manifest.Manifest{Application: a.Name, Cloud: a.Cloud},
		Archives: make(map[string]string), Versions: make(map[string]manifest.CodeVersions), Scripts: make(map[string]string),
		Waits: make(map[string]string),
	}
	services, err := c.Services(ctx, a.ID.String())
	if err != nil {
		return nil, a, err
	}
	kinds, err := c.ServiceTypes(ctx)
	if err != nil {
		return nil, a, err
	}
	names := make(map[api.ServiceID]string)
	for _, s := range services {
		names[s.ID] = s.Name
		one, err := liveService(ctx, c, live, kinds, s)
		if err != nil {
			return nil, a, fmt.Errorf("service %q: %w", s.Name, err)
		}
		if one.Cloud == a.Cloud {
			one.Cloud = ""
		}
		live.Services = append(live.Services, one)
	}
	volumes, err := c.Volumes(ctx, a.ID.String())
	if err != nil {
		return nil, a, err
	}
	for _, v := range volumes {
		if v.Automatic || v.State == api.VolumeDeleting {
			continue
		}
		one := manifest.Volume{Name: v.Name, Size: v.SizeMiB, Service: names[v.Service]}
		if one.Service != "" {
			one.Role = v.Role
		} else if v.Cloud != a.Cloud {
			one.Cloud = v.Cloud
		}
		live.Volumes = append(live.Volumes, one)
	}
	slices.SortFunc(live.Volumes, func(a, b manifest.Volume) int { return strings.Compare(a.Name, b.Name) }) // they are made side by side
	return live, a, nil
}

// passwordSecret is the secret of a service that the key Password of a manifest sets.
const passwordSecret = "password"

func sumOf(text api.Secret) string {
	sum := sha256.Sum256([]byte(text.Reveal()))
	return hex.EncodeToString(sum[:])
}

func liveService(ctx context.Context, c *director.Client, live *manifest.Live, kinds []api.ServiceKind, s api.Service) (one manifest.Service, err error) {
	one = manifest.Service{
		Name: s.Name, Type: s.Type, Cloud: s.Cloud, StartupInstances: s.Nodes, Settings: s.Settings,
		Start: s.State != api.StateInit && s.State != api.StateStopped && s.State != api.StateEpilogue,
	}
	if s.State == api.StatePrologue || s.State == api.StateError {
		live.Waits[s.Name] = strings.TrimSuffix(fmt.Sprintf("%s: %s", s.State, s.Reason), ": ")
	}
	application, id := s.Application.String(), s.ID.String()
	env, err := c.Environment(ctx, application, id)
	if err != nil {
		return one, err
	}
	one.Links = env.Links
	one.Environment, one.Secrets = make(map[string]string), make(map[string]api.Secret)
	for _, v := range env.Variables {
		switch v.From {
		case api.FromVariable:
			one.Environment[v.Name] = v.Value
		case api.FromSecret:
			one.Secrets[v.Name] = manifest.Masked
		case api.FromLink: // it comes back by itself
		}
	}
	script, err := c.Script(ctx, application, id)
	switch {
	case err == nil:
		live.Scripts[s.Name] = sumOf(script.Script)
	case api.CodeFrom(err) != api.CodeNotFound:
		return one, err
	}
	for _, k := range kinds {
		if k.Type != s.Type {
			continue
		}
		if secret, ok := k.FindSecret(passwordSecret); ok && secret.Settable {
			one.Password = manifest.Masked
		}
		if !k.Code {
			continue
		}
		versions, err := c.CodeVersions(ctx, application, id)
		if err != nil {
			return one, err
		}
		live.Versions[s.Name] = make(manifest.CodeVersions)
		for _, v := range versions {
			if v.SHA256 != "" {
				live.Versions[s.Name][v.SHA256] = v.ID
			}
			if v.Wanted || v.Enabled && live.Archives[s.Name] == "" {
				live.Archives[s.Name] = v.SHA256
			}
		}
	}
	return one, nil
}
