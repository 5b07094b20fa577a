// Package doctor looks at the host that a director runs on, or is to run on: the data folder, the disk, the clock, the
// database, certificates, ports, the name in DIRECTOR_URL and the clouds. Every finding says what to do.
//
// It changes nothing, and works beside a running director and without one. It knows nothing of how findings are shown.
package doctor

import (
	"context"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
	"conpaas/director/config"
	"conpaas/director/relay"
	"conpaas/director/store"
)

// State says how much is wrong.
type State string

// The states of findings.
const (
	OK      State = "ok"
	Warning State = "warning" // it works, and may soon not
	Error   State = "error"   // something does not work
)

// Finding is what a check has found.
type Finding struct {
	Check  string `json:"check"`
	State  State  `json:"state"`
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// Cloud is a configured cloud that tells what it lacks.
type Cloud struct {
	Name  string
	Check func(ctx context.Context) []api.Check
}

// Host is what is looked at.
type Host struct {
	Config   *config.Config
	Listen   string         // address of the director's TCP port
	Relay    netip.AddrPort // of the director's relay; zero: it has none
	RelayDir string
	Clouds   []Cloud
}

// machine is what the checks see of the machine beneath; tests show them another.
type machine struct {
	now       func() time.Time
	clock     func() (synchronised bool, apart time.Duration, err error) // and how far it may be from the true time
	disk      func(dir string) (unix.Statfs_t, error)
	resolve   func(ctx context.Context, host string) ([]netip.Addr, error)
	addresses func() ([]netip.Addr, error)
}

func thisMachine() machine {
	return machine{
		now: time.Now, clock: kernelClock, addresses: interfaces,
		disk: func(dir string) (s unix.Statfs_t, err error) { return s, unix.Statfs(dir, &s) },
		resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
	}
}

// patience is how long one cloud, or the host's name, may take.
const patience = 30 * time.Second

// Look makes all checks of a host. It takes seconds.
func Look(ctx context.Context, h Host) []Finding { return look(ctx, h, thisMachine()) }

func look(ctx context.Context, h Host, m machine) []Finding {
	e := store.Examine(ctx, h.Config.Dir, h.Config.Database)
	findings := append(m.folder(h.Config), m.timekeeping(e)...)
	findings = append(findings, database(h.Config, e)...)
	findings = append(findings, m.authorities(e)...)
	findings = append(findings, m.name(ctx, h.Config)...)
	findings = append(findings, m.port(ctx, h, e)...)
	if h.Relay.IsValid() {
		pid, err := relay.Running(h.RelayDir)
		findings = append(findings, relayPort(ctx, h.Relay, pid, err))
	}
	for _, c := range h.Clouds {
		findings = append(findings, cloud(ctx, c)...)
	}
	return findings
}

// Worst gives the state of the worst finding.
func Worst(findings []Finding) State {
	worst := OK
	for _, f := range findings {
		if f.State == Error || f.State == Warning && worst == OK {
			worst = f.State
		}
	}
	return worst
}

func cloud(ctx context.Context, c Cloud) []Finding {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var findings []Finding
	for _, check := range c.Check(ctx) {
		f := Finding{Check: "cloud " + c.Name + ": " + check.Name, State: OK, Detail: check.Detail}
		if !check.OK {
			f.State, f.Remedy = Error, "the cloud launches no machines until this is mended; look again with cps cloud check "+c.Name
		}
		findings = append(findings, f)
	}
	return findings
}
