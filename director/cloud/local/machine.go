package local

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"conpaas/client/daemon"
	"conpaas/director/cloud"
	"conpaas/director/cloud/local/qemu"
	"conpaas/director/cloud/local/task"
)

// record is what is known of a machine. It is replaced, never changed.
type record struct {
	ID         cloud.MachineID `json:"id"`
	Token      string          `json:"token"`
	Deployment string          `json:"deployment"`
	Hostname   string          `json:"hostname"`
	Address    netip.Addr      `json:"address"`
	Launched   time.Time       `json:"launched"`
	Runtime    string          `json:"runtime"`
	Image      string          `json:"image,omitempty"`     // digest
	Published  cloud.ImageID   `json:"published,omitempty"` // that it was launched from; "": ROOTFS
	Firmware   qemu.Firmware   `json:"firmware,omitempty"`  // of a virtual machine
	FirstID    uint32          `json:"first_id,omitempty"`  // of the host's ids that it runs as
	MemoryMiB  int             `json:"memory_mib,omitempty"`
	CPUs       int             `json:"cpus,omitempty"`
	Whole      bool            `json:"whole"` // it is built; one that is not is removed after a crash

	life   life // in a file of its own, which a loss of power may destroy
	ending bool // being removed; a file without content
}

// life is what holds until the host's next boot.
type life struct {
	HostBoot string    `json:"host_boot"` // boot id of the host, and of the user namespace, when the machine was built
	Started  bool      `json:"started"`   // it was let run its user-data
	Task     task.Task `json:"task"`      // its first process
}

// machine is one machine in memory.
type machine struct {
	id    cloud.MachineID
	token string
	busy  chan struct{}          // holds one value while somebody works on the machine
	now   atomic.Pointer[record] // nil before the machine is on disk and after it is gone
	made  chan struct{}          // closed when its launch has ended, well or not
	err   error                  // of the launch; read after made

	// It belongs to whoever is busy with the machine.
	unwatch context.CancelFunc
}

func newMachine(id cloud.MachineID, token string) *machine {
	return &machine{
		id: id, token: token, busy: make(chan struct{}, 1), made: make(chan struct{}), unwatch: func() {},
	}
}

// newID makes a name that no machine ever had.
func newID() cloud.MachineID {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return cloud.MachineID("m-" + hex.EncodeToString(b[:]))
}

// lock waits until nobody works on the machine.
func (m *machine) lock(ctx context.Context) error {
	select {
	case m.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (m *machine) unlock() { <-m.busy }

// launching tells whether the machine's launch has not ended.
func (m *machine) launching() bool {
	select {
	case <-m.made:
		return false
	default:
		return true
	}
}

// load reads what is known of a machine. Without its life it was built before the host's last boot.
func (c *Cloud) load(id cloud.MachineID) (record, error) {
	var r record
	text, err := os.ReadFile(c.at.record(id))
	if err != nil {
		return r, fmt.Errorf("read a machine: %w", err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("read the machine in %s: %w", c.at.record(id), err)
	}
	if text, err := os.ReadFile(c.at.life(id)); err != nil || json.Unmarshal(text, &r.life) != nil {
		r.life = life{}
	}
	_, err = os.Stat(c.at.ending(id))
	r.ending = err == nil
	return r, nil
}

// keep writes what is known of a machine, on disk and then in memory. What is whole survives a loss of power.
func (c *Cloud) keep(m *machine, r record) error {
	text, err := json.Marshal(r)
	if err == nil && r.Whole {
		err = daemon.WriteFile(c.at.record(m.id), text, 0o600)
	} else if err == nil {
		err = daemon.WriteVolatile(c.at.record(m.id), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep machine %s: %w", m.id, err)
	}
	m.now.Store(&r)
	return nil
}

// live writes the life of a machine, on disk and then in memory.
func (c *Cloud) live(m *machine, l life) error {
	text, err := json.Marshal(l)
	if err == nil {
		err = daemon.WriteVolatile(c.at.life(m.id), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep the life of machine %s: %w", m.id, err)
	}
	next := *m.now.Load()
	next.life = l
	m.now.Store(&next)
	return nil
}

// condemn makes sure that a machine is removed, by the next director if not by this one.
func (c *Cloud) condemn(m *machine) error {
	err := os.WriteFile(c.at.ending(m.id), nil, 0o600)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("condemn machine %s: %w", m.id, err)
	}
	next := *m.now.Load()
	next.ending = true
	m.now.Store(&next)
	return nil
}

// state gives the machine as the cloud shows it; false when there is nothing of it.
func (m *machine) state() (cloud.Machine, bool) {
	r := m.now.Load()
	if r == nil {
		return cloud.Machine{}, false
	}
	seen := cloud.Machine{ID: r.ID, Token: r.Token, State: cloud.StateStopped, Address: r.Address, Launched: r.Launched, Runtime: r.Runtime}
	switch {
	case m.launching():
		seen.State = cloud.StatePending
	case r.life.Started && !r.ending && r.life.Task.Alive():
		seen.State = cloud.StateRunning
	}
	return seen, true
}

// hostname makes a host name (RFC 1123 label) of a name for people.
func hostname(name string, id cloud.MachineID) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	label = strings.Trim(label[:min(len(label), 63)], "-")
	if label == "" {
		return string(id)
	}
	return label
}

// bootID tells one boot of the host from another.
func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the host's boot id: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
