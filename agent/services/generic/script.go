package generic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"conpaas/agent/host"
	"conpaas/client/api"
)

// Bounds of scripts, and their logs.
const (
	outLog    = "agent-out"
	errLog    = "agent-err"
	processes = 2048 // of all scripts, where they have a user of their own
	files     = 8192 // open, of each process
	killed    = 128 + int(syscall.SIGKILL)
	wordLines = 10
	wordBytes = 1 << 10
	beginMark = "== " // begins the line of a log before what a script writes
)

// task gives the task of a script, and adopts the script where it runs.
func (s *Half) task(h *host.Host, name string) (*host.Task, error) {
	if t := s.tasks[name]; t != nil {
		return t, nil
	}
	t, err := h.Task("script-" + name)
	if err == nil {
		s.tasks[name] = t
	}
	return t, err
}

// start begins a script of a version. change is what is noted of that, together with the run.
func (m *machine) start(ctx context.Context, name, version string, args []string, change func(*record)) error {
	t, err := m.half.task(m.h, name)
	if err != nil {
		return err
	}
	if err := t.Prepare(ctx); err != nil {
		return err
	}
	next := run{Version: version, Args: args, Begun: time.Now().UTC(), Running: true}
	m.rec.Scripts[name] = next
	change(&m.rec)
	if err := m.rec.write(m.h); err != nil {
		return err
	}
	if err := m.mark(name, next); err != nil {
		return err
	}
	return m.launch(t, name, next)
}

// mark writes into the logs what begins.
func (m *machine) mark(name string, r run) error {
	for _, log := range []string{outLog, errLog} {
		w, err := m.h.Logs().Writer(log)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s%s.sh of %s, %s\n", beginMark, name, r.Version, r.Begun.Format(time.RFC3339))
		if err = errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (m *machine) launch(t *host.Task, name string, r run) error {
	dir := m.h.State().Path(codeDir + "/" + r.Version)
	e := host.Errand{
		Path: dir + "/" + name + ".sh", Args: r.Args, Env: m.env(), Dir: dir, User: m.user, Out: outLog, Err: errLog, Files: files, Victim: true,
	}
	if !m.c.Root {
		e.Processes = processes
	}
	return t.Run(e)
}

// env is the environment of scripts. What the service says goes before what its owner says.
func (m *machine) env() []string {
	all := map[string]string{
		"HOME": m.h.State().Path(homeDir), "LANG": "C.UTF-8", "MY_IP": m.n.Address.String(), "MY_ROLE": string(m.role), "MY_NODE": string(m.n.ID),
		"MASTER_IP": "", "SERVICE": m.n.Service, "AGENTS_JSON": m.h.Root() + api.GenericAgents,
	}
	for _, other := range m.c.Members {
		if other.Role == api.RoleMaster {
			all["MASTER_IP"] = other.IP.String()
		}
	}
	for name, value := range m.c.Env {
		if _, own := all[name]; !own && name != "PATH" {
			all[name] = value.Reveal()
		}
	}
	env := make([]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		env = append(env, name+"="+all[name])
	}
	return env
}

func (m *machine) envDigest() string { return digest(m.env()) }

func digest(all ...any) string {
	data, _ := json.Marshal(all) // texts and members always have a JSON form
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// look notes which scripts have ended, and how; one that an earlier agent was about to begin begins, and one that has run too long is killed.
func (m *machine) look(ctx context.Context) error {
	for _, name := range api.GenericScripts() {
		r := m.rec.Scripts[name]
		if !r.Running {
			continue
		}
		t, err := m.half.task(m.h, name)
		if err != nil {
			return err
		}
		running, exit, err := t.Look()
		if err != nil {
			return err
		}
		if limit := time.Duration(m.c.Timeout) * time.Second; running && limit > 0 && time.Since(r.Begun) > limit {
			if err := m.kill(ctx, name, fmt.Sprintf("it was killed: it has not ended within %s", limit)); err != nil {
				return err
			}
			continue
		}
		if running {
			continue
		}
		if begun, err := t.Begun(); err != nil || !begun {
			if err == nil {
				err = m.launch(t, name, r)
			}
			if err != nil {
				return err
			}
			continue
		}
		if r.Running, r.Exit = false, exit; exit < 0 {
			r.Exit = killed
			if r.Reason == "" {
				r.Reason = "it was killed, or its machine was restarted"
			}
		}
		if r.Exit != 0 {
			r.Words = m.words()
		}
		t.Release()
		m.rec.Scripts[name] = r
		if err := m.rec.write(m.h); err != nil {
			return err
		}
	}
	return nil
}

// kill ends a script with all that it has started, and notes why.
func (m *machine) kill(ctx context.Context, name, reason string) error {
	r := m.rec.Scripts[name]
	r.Reason = reason
	m.rec.Scripts[name] = r
	if err := m.rec.write(m.h); err != nil { // first: another agent may find it ended
		return err
	}
	t, err := m.half.task(m.h, name)
	if err != nil {
		return err
	}
	if err := t.End(ctx); err != nil {
		return err
	}
	r.Running, r.Exit, r.Words = false, killed, m.words()
	m.rec.Scripts[name] = r
	return m.rec.write(m.h)
}

// words gives what was written last, since a script began: of errors, or else of the output.
func (m *machine) words() string {
	for _, log := range []string{errLog, outLog} {
		data, err := m.h.Logs().Tail(log, wordLines)
		if err != nil {
			continue
		}
		text := strings.ToValidUTF8(string(data), "?")
		if i := strings.LastIndex("\n"+text, "\n"+beginMark); i >= 0 {
			_, text, _ = strings.Cut(text[i:], "\n")
		}
		if text = strings.TrimSpace(text); len(text) > wordBytes {
			text = "…" + strings.ToValidUTF8(text[len(text)-wordBytes:], "")
		}
		if text != "" {
			return text
		}
	}
	return ""
}

// outcome says how a script has ended that has not succeeded.
func (r run) outcome(name string) string {
	text := fmt.Sprintf("%s.sh has ended with return code %d", name, r.Exit)
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	if r.Words != "" {
		text += "; the last lines of its log:\n" + r.Words
	}
	return text
}
