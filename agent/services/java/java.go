// Package java is the agent half of the service type java: a hosting type whose backends run Tomcat.
//
// A version runs in a Tomcat of its own, which listens on a socket of the machine alone: an instance. It never changes. For another
// version, another setting or another place of the sessions there is another instance, started beside the one that serves; the front,
// an nginx at the address of the backend, gives requests to it once it is up, and the old one ends when nothing is in flight on it.
//
// It knows nothing of proxies, webs and the unpacking of versions, which are those of package hosting.
package java

import (
	"embed"
	"sync"
	"time"

	"conpaas/agent/services/hosting"
	"conpaas/client/api"
)

//go:embed templates welcome classes
var files embed.FS

// Names of programs and logs.
const (
	front     = "nginx-backend"
	catalina  = "catalina"      // what all instances write
	accessLog = "tomcat-access" // their requests
)

// lockKeys are those by which Sessions.java locks sessions. Their values are "<host name>|<random word>".
const lockKeys = "JAVA_SESSION:*_LOCK"

// Bounds of waiting.
const (
	startTime = 3 * time.Minute // for an instance to come up
	sliceTime = 2 * time.Second // that one Apply waits for instances
	lookGap   = 100 * time.Millisecond
	askTime   = time.Second
	lateTime  = time.Minute // an instance that is not used ends when nothing has been in flight for so long: a web may still send what it was sent slowly
	endGrace  = 5 * time.Second
)

// New makes the agent half.
func New() *hosting.Half { return hosting.New(kind(newRunner())) }

func kind(r *runner) hosting.Kind {
	return hosting.Kind{Type: api.Java, Welcome: files, Files: files, Static: staticDir, Locks: lockKeys, Logs: []string{accessLog}, Runner: r}
}

// runner is what runs Tomcat.
type runner struct {
	start, late time.Duration // tests have shorter ones

	mu   sync.Mutex           // of the directories of instances and classes, which the check of a version makes, too
	idle map[string]time.Time // mark of an instance that is not used: since when nothing is in flight on it
}

var (
	_ hosting.Runner = (*runner)(nil)
	_ hosting.Shaper = (*runner)(nil)
)

func newRunner() *runner {
	return &runner{start: startTime, late: lateTime, idle: map[string]time.Time{}}
}
