// Package cloud says what the director needs of a cloud: machines that are launched, described, listed and
// terminated, errors that say their kind, and settings that are data.
//
// It holds the interface only. It must not know any single cloud, the database, applications or services: a machine
// here is a token, some user-data and an address. Package all maps kinds to drivers, package cloudtest holds the
// rules that every driver keeps.
package cloud

import (
	"context"
	"io"
	"net"
	"net/netip"
	"time"

	"conpaas/client/api"
)

// MachineID names a machine in its cloud; its form is the cloud's own.
type MachineID string

// MachineState is what a cloud says of a machine.
type MachineState string

// The states of a machine.
const (
	StatePending MachineState = "pending" // accepted; it has not begun to run its user-data
	StateRunning MachineState = "running" // it runs; nothing is said of the programs in it
	StateStopped MachineState = "stopped" // it exists and does not run
	StateGone    MachineState = "gone"    // it was terminated; the cloud may forget it at any time
)

// Spec is a machine that is wanted.
type Spec struct {
	Token      string   // node id + "-" + attempt: names the request, is the machine's tag
	Deployment string   // the installation; tag of all its machines; "" is that of Config
	Name       string   // for people, and the machine's host name where the cloud sets one
	UserData   []byte   // program that the machine runs at each of its boots; begins with #!
	MemoryMiB  int      // 0 is the cloud's default; a cloud with sizes may ignore it
	CPUs       int      // 0 is the cloud's default; a cloud with sizes may ignore it
	Publish    []uint16 // TCP ports that people must reach, see Publisher
	Size       string   // the cloud's name of a size, "" is its default
	Image      string   // the cloud's name of an image, "" is its default
}

// Machine is what a cloud knows of one machine.
type Machine struct {
	ID       MachineID
	Token    string       // of the Spec that it was launched with
	State    MachineState // what the cloud says now
	Address  netip.Addr   // on the cloud's own network; zero until it is known
	Public   netip.Addr   // reachable from outside the cloud; zero where there is none
	Launched time.Time    // UTC
	Runtime  string       // kind of the machine where a cloud has several, for example container
}

// Provider is one configured cloud. Its methods may be called from many goroutines, and every error that they return
// is an *Error.
//
// Launch returns the id as soon as the cloud has accepted the machine; a second Launch with the same token returns
// the machine of the first, also after a restart of the director, and a call that failed or was cancelled leaves
// either nothing or a machine that List shows with its token. Describe of an id that the cloud does not know is an
// error of KindNotFound or a machine in StateGone. List gives the machines of this deployment that are not gone; a
// list that could not be had whole is an error, never an empty or shorter list. Terminate may be repeated and
// succeeds for an unknown id.
type Provider interface {
	Check(ctx context.Context) []api.Check
	Launch(ctx context.Context, spec Spec) (MachineID, error)
	Describe(ctx context.Context, id MachineID) (Machine, error)
	List(ctx context.Context) ([]Machine, error)
	Terminate(ctx context.Context, id MachineID) error
}

// Console is the ability to read what a machine printed since its launch. The stream ends where the output ends now.
type Console interface {
	Console(ctx context.Context, id MachineID) (io.ReadCloser, error)
}

// Publisher is the ability to make TCP ports of a machine reachable for people. The map gives host:port for each
// port asked for. A repeated call gives the same answer, after a restart of the director too.
type Publisher interface {
	Publish(ctx context.Context, id MachineID, ports []uint16) (map[uint16]string, error)
}

// Host is a cloud whose machines are on this host. Start must have succeeded before machines are launched; it adopts
// the machines that run and removes half-made ones. Close ends what lives in this process and leaves the machines.
type Host interface {
	Start(ctx context.Context) error
	// Listener is where machines reach the director, inside the cloud's network; nil when the director's own
	// listeners will do. It is made by Start and closed by Close.
	Listener() net.Listener
	// RelaySocket opens the UDP socket, inside the cloud's network, at which machines reach a relay of the director: at the
	// address of Listener, as IPv4. It belongs to the caller and is of use after Close too. Only where OverlayActive is true.
	RelaySocket() (*net.UDPConn, error)
	// DirectorAddress is the host:port that machines dial, "" when they dial what DIRECTOR_URL says.
	DirectorAddress() string
	// OverlayActive tells whether machines have a network of their own, in which the overlay can be brought up.
	OverlayActive() bool
	// Isolation says in a sentence how machines are kept from this host and from each other.
	Isolation() string
	// MachineListen reserves the address of the machine that will be launched with token, for
	// api.Bootstrap.Listen. It is "" where OverlayActive is true, and where no address is left (Launch says so).
	MachineListen(token string) string
	Close() error
}

// Cleaner is the ability to remove every trace of a cloud on this host, its machines included, whatever was killed
// before. The report has a line for each thing removed, also when there is an error. No director may use the cloud
// meanwhile.
type Cleaner interface {
	Clean(ctx context.Context) (report []string, err error)
}
