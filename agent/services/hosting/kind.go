package hosting

import (
	"context"
	"io/fs"
	"time"

	"conpaas/client/api"
)

// Kind is what one type adds to this package.
type Kind struct {
	Type    api.ServiceType
	Welcome fs.FS    // its directory welcome is what code-default consists of
	Files   fs.FS    // templates/program.conf says what the nginx of role web does with a request
	Static  string   // the directory of a version that has what nginx may serve; "" is all of it
	Locks   string   // pattern of the keys in Redis by which its programs lock sessions
	Logs    []string // of requests, that its programs write themselves
	Runner  Runner
}

// Runner runs the programs of users on a machine with role backend. Check is called by a goroutine of its own beside the others.
type Runner interface {
	// Accepts tells whether a configuration, which may be hostile, can be applied: its settings and its environment.
	Accepts(c api.HostingBackendConfig) error

	// Check tries a version that is unpacked, and says how far it is. A version that is not to be used is broken, with the reason
	// for its owner; an error is of the machine, and it is tried again.
	Check(ctx context.Context, p Site, v api.CodeBlob, c api.HostingBackendConfig, say Say) (broken string, err error)

	// Apply makes the programs run, for all versions that are Usable here.
	Apply(ctx context.Context, p Site, c api.HostingBackendConfig) error

	// Health looks at the programs; c is nil where the machine no longer has the role.
	Health(ctx context.Context, p Site, c *api.HostingBackendConfig) Health

	// End ends the programs, requests in flight answered before.
	End(ctx context.Context, p Site) error
}

// Shaper is a Runner that makes something else of what an archive has before it is used, on webs and backends alike. The directory is
// below the host's state directory. An *archive.Error refuses the version.
type Shaper interface {
	Shape(ctx context.Context, p Site, dir string, say Say) error
}

// Say tells how far work in the background is.
type Say func(format string, args ...any)

// Health is how the programs of a backend are.
type Health struct {
	Programs []Program
	Active   int      // requests in flight
	Unknown  error    // why Active is not known
	Lacks    []string // versions that could not be served now though they are checked
}

// Program is one program of a role and what is wrong with it, nil for nothing. It may be so for a while after it was started
// or told to take over a configuration; zero is the usual time.
type Program struct {
	Name          string
	Log           string // "": of its name
	Trouble       error
	Start, Reload time.Duration
}
