package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"conpaas/agent/service"
	"conpaas/client/api"
)

const (
	startupFile = stateDir + "/startup.json"
	startupTask = "startup" // also the name of its log
	startupEnd  = 10 * time.Second
)

// startup is how far the machine is with its start-up script. It is on disk: whatever is restarted, a machine that has
// begun its roles runs no script any more.
type startup struct {
	Done   bool      `json:"done"`             // it has succeeded, or there was none: the roles may begin
	Sum    string    `json:"sum,omitempty"`    // of the script that runs or has failed
	Begun  time.Time `json:"begun"`            // when that was
	Failed string    `json:"failed,omitempty"` // why it has failed
}

// openStartup finds out how far an earlier agent has come. A machine with a spec that names no script has begun its
// roles already.
func (w *worker) openStartup() error {
	data, err := w.a.host.State().Read(startupFile, 1<<20)
	if err == nil {
		err = json.Unmarshal(data, &w.startup)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if have := w.a.latest(); have != nil && have.Spec.Startup == nil {
			return w.keepStartup(startup{Done: true})
		}
		return nil
	}
	return err
}

func (w *worker) keepStartup(s startup) error {
	data, err := json.Marshal(s)
	if err == nil {
		_, err = w.a.host.State().Write(startupFile, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("note how far the start-up script is: %w", err)
	}
	w.startup = s
	return nil
}

// begin runs the start-up script, once: nil when the roles may begin. While it runs the error is a *service.Waiting. One
// that has failed is run no more, another one that takes its place is. One that was killed together with the machine or
// in its place is run again.
func (w *worker) begin(ctx context.Context, s api.NodeSpec) error {
	if w.startup.Done {
		return nil
	}
	if w.task == nil {
		var err error
		if w.task, err = w.a.host.Task(startupTask); err != nil {
			return err
		}
	}
	if s.Startup == nil { // there is none, or it was taken back
		return w.endStartup(ctx, startup{Done: true})
	}
	if w.startup.Sum == "" || w.startup.Failed != "" && w.startup.Sum != s.Startup.Sum() {
		return w.runStartup(ctx, s)
	}
	if w.startup.Failed != "" {
		return errors.New(w.startup.Failed)
	}
	running, exit, err := w.task.Look()
	limit := time.Duration(s.Startup.Seconds) * time.Second
	took := time.Since(w.startup.Begun)
	switch {
	case err != nil:
		return err
	case running && took > limit:
		return w.failStartup(ctx, fmt.Sprintf("has not ended within %s", limit))
	case running:
		return w.waitStartup()
	case exit < 0:
		return w.runStartup(ctx, s)
	case exit > 0:
		return w.failStartup(ctx, fmt.Sprintf("has failed with exit status %d", exit))
	}
	w.a.log.Info("start-up script has succeeded", "took", took.Round(time.Millisecond))
	if err := w.keepStartup(startup{Done: true}); err != nil {
		return err
	}
	return w.task.Forget() // what it has started is meant to go on
}

func (w *worker) waitStartup() error {
	return &service.Waiting{For: "the start-up script runs since " + w.startup.Begun.Format(time.RFC3339), Busy: true}
}

func (w *worker) runStartup(ctx context.Context, s api.NodeSpec) error {
	roles := make([]string, len(s.Roles))
	for i, r := range s.Roles {
		roles[i] = string(r.Role)
	}
	env := []string{
		"HOME=/root", "LANG=C.UTF-8", "MY_IP=" + w.a.address.String(), "MY_ROLE=" + strings.Join(roles, " "), "MY_NODE=" + string(s.Node), "SERVICE=" + s.Name,
	}
	for name, value := range s.Startup.Env {
		env = append(env, name+"="+value.Reveal())
	}
	slices.Sort(env)
	if err := w.keepStartup(startup{Sum: s.Startup.Sum(), Begun: time.Now().UTC()}); err != nil {
		return err
	}
	if err := w.task.Start(ctx, []byte(s.Startup.Script.Reveal()), env); err != nil {
		return err
	}
	w.a.log.Info("start-up script begins")
	return w.waitStartup()
}

func (w *worker) failStartup(ctx context.Context, how string) error {
	failed := "the start-up script " + how + w.a.host.Logs().LastWords(startupTask)
	w.a.board.event("startup.failed", true, "%s", failed)
	if err := w.endStartup(ctx, startup{Sum: w.startup.Sum, Begun: w.startup.Begun, Failed: failed}); err != nil {
		return err
	}
	return errors.New(failed)
}

// endStartup ends the script with all that it has started, and notes how far the machine is now.
func (w *worker) endStartup(ctx context.Context, next startup) error {
	ctx, cancel := context.WithTimeout(ctx, startupEnd)
	defer cancel()
	if err := w.keepStartup(next); err != nil {
		return err
	}
	return w.task.End(ctx)
}

// beginning gives the roles of a machine whose start-up script runs; nil where none does.
func (w *worker) beginning() []api.RoleStatus {
	if w.done == nil || w.startup.Done || w.startup.Sum == "" || w.startup.Failed != "" {
		return nil
	}
	var roles []api.RoleStatus
	for _, r := range w.done.Spec.Roles {
		roles = append(roles, api.RoleStatus{Role: r.Role, State: api.RoleStarting, Reason: "it waits for the start-up script, which runs since " + w.startup.Begun.Format(time.RFC3339)})
	}
	return roles
}

// checkStartup refuses what no director lets through.
func checkStartup(s *api.Startup) error {
	switch {
	case s == nil:
		return nil
	case len(s.Script) > api.ScriptMax:
		return api.InField("startup.script", "it has %d bytes; at most %d are allowed", len(s.Script), api.ScriptMax)
	case s.Seconds < 1 || s.Seconds > api.ScriptSecondsLimit:
		return api.InField("startup.seconds", "want 1 to %d", api.ScriptSecondsLimit)
	}
	size := 0
	for name, value := range s.Env {
		size += len(name) + len(value)
		if !envName.MatchString(name) || strings.ContainsRune(value.Reveal(), 0) {
			return api.InField("startup.env", "%.80q is no environment variable that can be set", name)
		}
	}
	if size > maxConfig {
		return api.InField("startup.env", "the variables have more than %d bytes", maxConfig)
	}
	return nil
}
