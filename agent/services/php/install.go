package php

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"text/template"
	"time"

	"conpaas/agent/host"
	"conpaas/client/api"
)

//go:embed templates welcome
var files embed.FS

// render fills a template. Its values were let through by decode or made here.
func render(name string, values any) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFS(files, "templates/"+name)
	if err != nil {
		return nil, fmt.Errorf("read the template of %s: %w", name, err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return text.Bytes(), nil
}

// loaded is what a program has been seen to have taken over.
type loaded struct {
	Mark    string       `json:"mark"`
	Servers []api.NodeID `json:"servers,omitempty"`
}

func readLoaded(h *host.Host, program string) loaded {
	var l loaded
	data, err := h.Run().Read(runDir+"/"+program+".loaded", 1<<20)
	if err != nil || json.Unmarshal(data, &l) != nil {
		return loaded{} // it is taken over once more, which disturbs nothing
	}
	return l
}

func writeLoaded(h *host.Host, program string, l loaded) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = h.Run().Write(runDir+"/"+program+".loaded", data, 0o644)
	return err
}

func nodesOf(servers []api.Server) []api.NodeID {
	var all []api.NodeID
	for _, s := range servers {
		all = append(all, s.Node)
	}
	return all
}

// start makes a program run and tells whether it is a new one, which has read the present configuration.
func (s *Half) start(ctx context.Context, h *host.Host, p host.Program) (fresh bool, err error) {
	before, _ := h.Service().State(p.Name)
	if err := h.Service().Ensure(ctx, p); err != nil {
		return false, err
	}
	after, _ := h.Service().State(p.Name)
	fresh = !after.Adopted && after.PID != before.PID
	if fresh {
		s.reloaded[p.Name] = time.Now()
	}
	return fresh, nil
}
