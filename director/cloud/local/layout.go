package local

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"path/filepath"

	"conpaas/director/cloud"
)

// layout is where things of one cloud are on the host. All names follow from the cloud's directory, so that clouds
// with different directories have nothing in common.
type layout struct {
	dir    string // the cloud's directory
	run    string // mount points of the machines' roots
	tun    string // node of the TUN device
	cgroup string // parent of the machines' control groups
}

func newLayout(dir string, m mode) layout {
	sum := sha256.Sum256([]byte(dir))
	name := "conpaas-" + hex.EncodeToString(sum[:6])
	return layout{dir: dir, run: m.run(name, dir), tun: m.tun(dir), cgroup: "/" + name}
}

func (l layout) lock() string      { return filepath.Join(l.dir, "lock") }
func (l layout) addresses() string { return filepath.Join(l.dir, "addresses.json") }
func (l layout) forward() string   { return filepath.Join(l.dir, "forward") }
func (l layout) netns() string     { return filepath.Join(l.dir, "netns") }
func (l layout) images() string    { return filepath.Join(l.dir, "images") }
func (l layout) published() string { return filepath.Join(l.dir, "published") }
func (l layout) volumes() string   { return filepath.Join(l.dir, "volumes") }
func (l layout) lower() string     { return filepath.Join(l.dir, "lower") }
func (l layout) runc() string      { return filepath.Join(l.dir, "runc") }
func (l layout) machines() string  { return filepath.Join(l.dir, "machines") }

// machine is the directory of one machine, and the bundle of its container.
func (l layout) machine(id cloud.MachineID) string { return filepath.Join(l.machines(), string(id)) }

// record, life and ending are what is kept of a machine, console what it printed.
func (l layout) record(id cloud.MachineID) string {
	return filepath.Join(l.machine(id), "machine.json")
}

func (l layout) life(id cloud.MachineID) string    { return filepath.Join(l.machine(id), "life.json") }
func (l layout) ending(id cloud.MachineID) string  { return filepath.Join(l.machine(id), "ending") }
func (l layout) console(id cloud.MachineID) string { return filepath.Join(l.machine(id), "console") }

// root is where the root file system of a container appears, group its control group.
func (l layout) root(id cloud.MachineID) string  { return filepath.Join(l.run, string(id)) }
func (l layout) group(id cloud.MachineID) string { return l.cgroup + "/" + string(id) }

// own are the things that this package makes, besides the lock.
func (l layout) own() []string {
	return []string{l.run, l.machines(), l.runc(), l.lower(), l.images(), l.published(), l.volumes(), l.netns(), filepath.Join(l.dir, "tun"), l.addresses(), l.forward()}
}

// loopbackPart is the part of 127.0.0.0/8, a /20, that the processes of a cloud have; never the one of 127.0.0.1.
func loopbackPart(dir string) netip.Prefix {
	sum := sha256.Sum256([]byte(dir))
	n := 1 + binary.BigEndian.Uint32(sum[:])%4095
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 127<<24|n<<12)
	return netip.PrefixFrom(netip.AddrFrom4(a), 20)
}
