package command_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"conpaas/client/api"
)

func event(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "text/event-stream")
	data, _ := json.Marshal(v)
	_, _ = fmt.Fprintf(w, ": keep alive\n\ndata: %s\n\n", data)
	_ = http.NewResponseController(w).Flush()
}

// cut ends the connection in the middle of what it carries.
func cut(w http.ResponseWriter) {
	_ = http.NewResponseController(w).Flush()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// watch tells of the operation as it is and then of its end. In the mode watch-breaks the first connection is
// cut and the second refused, as by a director that is restarted; in the mode watch-hangs nothing more comes.
func (f *fake) watch(w http.ResponseWriter, r *http.Request, o *api.Operation) {
	f.watches++
	if f.mode["watch-breaks"] && f.watches == 2 {
		problem(w, api.Errorf(api.CodeUnavailable, "the director is starting"))
		return
	}
	event(w, o)
	switch {
	case f.mode["watch-hangs"]:
		f.watched <- struct{}{}
		f.mu.Unlock() // other requests must be possible meanwhile
		<-r.Context().Done()
		f.mu.Lock()
	case f.mode["watch-breaks"] && f.watches == 1:
		cut(w)
	default:
		*o = f.finished(*o)
		event(w, o)
	}
}

// events are two; followed, they come one per connection and then the application is gone.
func (f *fake) events(w http.ResponseWriter, r *http.Request, a *api.Application) {
	all := []api.Event{
		{ID: 1, Time: begun, Application: a.ID, Operation: "op1", Kind: "operation.begun", Text: "start of the application"},
		{ID: 2, Time: begun, Application: a.ID, Node: "n2", Kind: "node.failed", Text: "no answer from n2", Alarm: true},
	}
	if f.mode["alarm-now"] {
		all[1].Time = time.Now()
	}
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	rest := all[min(int(after), len(all)):]
	switch {
	case r.URL.Query().Get("follow") == "":
		list(f, w, r, rest)
	case len(rest) == 0:
		problem(w, api.Errorf(api.CodeNotFound, "there is no application %q", a.Name))
	default:
		event(w, rest[0])
	}
}
