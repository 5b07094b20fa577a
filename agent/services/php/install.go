package php

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/template"
	"time"

	"conpaas/agent/host"
	"conpaas/client/api"
)

//go:embed templates welcome
var files embed.FS

// markHere stands in templates where the mark goes: a name for the whole text, by which a running program tells
// which configuration it has taken over.
const markHere = "MARK-HERE"

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

// marked puts the mark over all texts into the first.
func marked(texts ...[]byte) (first []byte, mark string) {
	sum := sha256.Sum256(bytes.Join(texts, []byte{0}))
	mark = hex.EncodeToString(sum[:8])
	return bytes.ReplaceAll(texts[0], []byte(markHere), []byte(mark)), mark
}

// configuration is a program's file and how the program tries one.
type configuration struct {
	name string // below configDir
	text []byte
	mode fs.FileMode
	try  func(path string) (output []byte, exit int, err error) // nil: the program cannot
}

// install tries a configuration and puts it where the program reads it. One that the program refuses changes
// nothing; the error has the program's words.
func install(h *host.Host, c configuration) error {
	final := configDir + "/" + c.name
	if old, err := h.State().Read(final, 16<<20); err == nil && bytes.Equal(old, c.text) {
		return nil // it was tried when it came
	}
	candidate := configDir + "/new-" + c.name
	if _, err := h.State().Write(candidate, c.text, c.mode); err != nil {
		return err
	}
	if c.try != nil {
		path := h.State().Path(candidate)
		output, exit, err := c.try(path)
		if err == nil && exit != 0 {
			err = fmt.Errorf("the program refuses the new %s, and goes on with the old one: %s", c.name, strings.ReplaceAll(words(output), path, c.name))
		}
		if err != nil {
			return errors.Join(err, h.State().Remove(candidate))
		}
	}
	return h.State().Rename(candidate, final)
}

// words gives a program's output as one text of bounded size.
func words(output []byte) string {
	const most = 2000
	text := strings.TrimSpace(strings.ToValidUTF8(string(output), "?"))
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return text
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

// until asks until the answer is mark, for reloadTime at most.
func until(ctx context.Context, mark string, ask func(context.Context) (string, error)) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		got, err := ask(ctx)
		if err == nil && got == mark {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("after %s the answer is %q and not %q", reloadTime, got, mark), err)
		case <-ticker.C:
		}
	}
}
