package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"conpaas/director/cloud"
	"conpaas/director/cloud/local/address"
	"conpaas/director/cloud/local/fault"
	"conpaas/director/cloud/local/qemu"
	"conpaas/director/cloud/local/rootfs"
)

// The runtimes.
const (
	RuntimeContainer = "container"
	RuntimeVM        = "vm"
	RuntimeProcess   = "process"
)

// defaultSubnet is the network of containers.
const defaultSubnet = "10.210.0.0/16"

// Driver gives the kind "local".
func Driver() cloud.Driver {
	d := cloud.Driver{Kind: "local", Options: []cloud.Option{
		{Name: "RUNTIME", Default: RuntimeContainer, Help: "What a machine is: container (by runc), vm (a virtual machine by qemu), or process, for tests and benchmarks only: no isolation, no overlay"},
		{Name: "ROOTFS", Help: "Root file system of containers: a tar file made by cpsimage, plain or gzip, or a directory that does not change; empty: /var/cache/cpsimage/rootfs.tar, for an ordinary user ~/.cache/cpsimage/rootfs.tar"},
		{Name: "IMAGE", Help: "Disk image of virtual machines, raw or qcow2, made by cpsimage; required by the runtime vm"},
		{Name: "FIRMWARE", Default: string(qemu.BIOS), Help: "Firmware of virtual machines: bios (SeaBIOS) or uefi (OVMF)"},
		{Name: "SUBNET", Help: "Network of the machines, inside a namespace of its own; empty: " + defaultSubnet + ", for processes a part of 127.0.0.0/8"},
		{Name: "DIRECTOR_PORT", Default: "5555", Help: "Port of the bridge where machines reach the director, by TCP, and its relay, by UDP"},
		{Name: "UNDERLAY_PORTS", Default: "51820-51821", Help: "UDP ports of the overlay, the only ones on which machines reach each other"},
		{Name: "PUBLISH_PORTS", Default: "20000-29999", Help: "TCP ports of 127.0.0.1 that published ports of machines are forwarded from"},
		{Name: "MEMORY_MIB", Help: "Memory of a machine that asks for none, MiB; empty: a container's limit is 1024, a virtual machine has 512"},
		{Name: "CPUS", Default: "0", Help: "Processors of a machine that asks for none; 0 is all of the host, and one for a virtual machine"},
		{Name: "PROCESSES", Default: "4096", Help: "Limit of processes and threads of a container"},
		{Name: "FIRST_ID", Default: "1900000000", Help: "First of the 65536 user and group ids of the host that machines run as; nobody else may use them"},
		{Name: "FAULTS", Help: "Troubles to make, for tests: operation:when:effect,…,seed=N, for example launch:3:capacity,list:2+:empty-error"},
	}}
	d.Open = func(_ context.Context, c cloud.Config) (cloud.Provider, error) {
		values, err := d.Complete(c.Options)
		var s settings
		m := currentMode(values["RUNTIME"])
		if err == nil {
			s, err = parse(values, c, m)
		}
		if defaults, _ := d.Complete(nil); err == nil { // no option is required
			err = m.unlimited(values, defaults)
		}
		if err != nil {
			return nil, &cloud.Error{Kind: cloud.KindPermanent, Cloud: c.Name, Op: "read the settings", Err: err}
		}
		return newCloud(c, s, m), nil
	}
	d.Enter = enter
	return d
}

// settings are the options as values.
type settings struct {
	runtime   string
	rootfs    string
	image     string // of virtual machines
	firmware  qemu.Firmware
	subnet    netip.Prefix
	port      uint16
	underlay  [2]uint16
	publish   [2]uint16
	memoryMiB int
	cpus      int
	processes int
	ids       rootfs.Range
	faults    *fault.Schedule
}

func parse(values map[string]string, c cloud.Config, m mode) (settings, error) {
	s := settings{runtime: values["RUNTIME"], rootfs: cmp.Or(values["ROOTFS"], defaultRootFS())}
	paths := []string{c.Dir, s.rootfs}
	memory := "1024"
	switch s.runtime {
	case RuntimeContainer, RuntimeProcess:
	case RuntimeVM:
		s.image, s.firmware, memory = values["IMAGE"], qemu.Firmware(values["FIRMWARE"]), "512"
		if s.image == "" {
			return s, errors.New("RUNTIME vm needs IMAGE, a disk image; make one by cpsimage build --format qcow2")
		}
		if s.firmware != qemu.BIOS && s.firmware != qemu.UEFI {
			return s, fmt.Errorf("FIRMWARE %q is neither %s nor %s", s.firmware, qemu.BIOS, qemu.UEFI)
		}
		paths = append(paths, s.image)
	default:
		return s, fmt.Errorf("RUNTIME %q is none of %s, %s and %s", s.runtime, RuntimeContainer, RuntimeVM, RuntimeProcess)
	}
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			return s, fmt.Errorf("path %q is not absolute", path)
		}
		if err := rootfs.CheckPath(path); err != nil {
			return s, err
		}
	}
	var err error
	within := func(name, value string, low, high int) int {
		n, bad := strconv.Atoi(value)
		if err == nil && (bad != nil || n < low || n > high) {
			err = fmt.Errorf("%s %q is no number from %d to %d", name, value, low, high)
		}
		return n
	}
	number := func(name string, low, high int) int { return within(name, values[name], low, high) }
	ports := func(name string) [2]uint16 {
		first, last, ok := strings.Cut(values[name], "-")
		a, bad1 := strconv.ParseUint(first, 10, 16)
		b, bad2 := strconv.ParseUint(last, 10, 16)
		if err == nil && (!ok || bad1 != nil || bad2 != nil || a == 0 || b < a) {
			err = fmt.Errorf("%s %q is no range of ports such as 51820-51821", name, values[name])
		}
		return [2]uint16{uint16(a), uint16(b)}
	}
	s.port = uint16(number("DIRECTOR_PORT", 1, 65535))
	s.underlay, s.publish = ports("UNDERLAY_PORTS"), ports("PUBLISH_PORTS")
	s.memoryMiB = within("MEMORY_MIB", cmp.Or(values["MEMORY_MIB"], memory), 16, 1<<24)
	s.cpus = number("CPUS", 0, 4096)
	s.processes = number("PROCESSES", 16, 1<<22)
	s.ids = m.ids(uint32(number("FIRST_ID", ids, 1<<31-ids)))
	if err == nil {
		s.subnet, err = s.network(values["SUBNET"], c)
	}
	if err == nil {
		s.faults, err = fault.Parse(values["FAULTS"])
	}
	return s, err
}

// network reads SUBNET and refuses what cannot be a network of machines in this installation.
func (s settings) network(text string, c cloud.Config) (netip.Prefix, error) {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	if text == "" && s.runtime == RuntimeProcess {
		return loopbackPart(c.Dir), nil
	}
	if text == "" {
		text = defaultSubnet
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("SUBNET: %w", err)
	}
	if err := address.Check(p); err != nil {
		return p, fmt.Errorf("SUBNET: %w", err)
	}
	if inside := loopback.Contains(p.Addr()); inside != (s.runtime == RuntimeProcess) {
		return p, fmt.Errorf("SUBNET %s: processes have addresses in %s, and containers never", p, loopback)
	}
	overlay := c.Overlay
	if !overlay.IsValid() {
		overlay = netip.MustParsePrefix("172.16.0.0/12")
	}
	if p.Overlaps(overlay) {
		return p, fmt.Errorf("SUBNET %s overlaps the overlay network %s; choose another one", p, overlay)
	}
	return p, nil
}

// now is the time as clouds give it: UTC, whole milliseconds, no reading of a monotonic clock.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
