package recipe

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Format is the form in which an image is delivered.
type Format string

// The formats.
const (
	FormatRootFS Format = "rootfs" // tar archive of a root file system, without kernel and device files, as the local cloud takes it
	FormatRaw    Format = "raw"    // disk, byte by byte
	FormatQCOW2  Format = "qcow2"  // disk of qemu, compressed
	FormatVDI    Format = "vdi"    // disk of VirtualBox
	FormatOVA    Format = "ova"    // appliance of VirtualBox
	FormatLXC    Format = "lxc"    // container with an init, as Incus and LXD import it
	FormatOCI    Format = "oci"    // tar archive of an OCI image layout
)

// Formats gives every format that can be made.
func Formats() []Format {
	return []Format{FormatRootFS, FormatRaw, FormatQCOW2, FormatVDI, FormatOVA, FormatLXC, FormatOCI}
}

// Disk tells whether an image of the format has a kernel and boots by itself.
func (f Format) Disk() bool {
	return slices.Contains([]Format{FormatRaw, FormatQCOW2, FormatVDI, FormatOVA}, f)
}

// system has the packages that make an init, a network and first-boot data of a machine that brings its own init but no
// kernel.
var system = []string{"cloud-init", "dbus", "iproute2", "systemd", "systemd-resolved", "systemd-sysv", "udev"}

// Compression is how an archive is packed; "" is not at all.
type Compression string

// The compressions.
const (
	Gzip Compression = "gz"
	XZ   Compression = "xz"
	Zstd Compression = "zst"
)

// compressionOf tells by the name of a file how it is to be packed.
func compressionOf(file string) Compression {
	for _, c := range []Compression{Gzip, XZ, Zstd} {
		if strings.HasSuffix(file, ".tar."+string(c)) {
			return c
		}
	}
	return ""
}

// place is a cloud with the formats that its machines start from; the first of each kind is the usual one.
type place struct {
	name       string
	disks      []Format
	containers []Format
	xen        Format // in place of the first disk; "": it does not run Xen
}

var places = []place{
	{"ec2", []Format{FormatRaw}, nil, FormatRaw},
	{"openstack", []Format{FormatQCOW2, FormatRaw}, []Format{FormatLXC, FormatRootFS, FormatOCI}, FormatRaw},
	{"opennebula", []Format{FormatQCOW2, FormatRaw}, []Format{FormatLXC, FormatRootFS, FormatOCI}, FormatRaw},
	{"vbox", []Format{FormatOVA, FormatVDI}, nil, ""},
	{"local", []Format{FormatQCOW2, FormatRaw}, []Format{FormatRootFS, FormatOCI, FormatLXC}, ""},
}

// format settles the format: what is given, if its cloud and hypervisor can start it, else the usual one.
func (c Choices) format() (Format, error) {
	f := Format(c.Format)
	if f != "" && !slices.Contains(Formats(), f) {
		return "", fmt.Errorf("unknown format %q; known: %s", f, list(Formats()))
	}
	if !slices.Contains([]string{"", "kvm", "xen"}, c.Hypervisor) {
		return "", fmt.Errorf("unknown hypervisor %q; known: kvm, xen", c.Hypervisor)
	}
	at := places[len(places)-1]
	if c.Cloud != "" {
		i := slices.IndexFunc(places, func(p place) bool { return p.name == c.Cloud })
		if i < 0 {
			return "", fmt.Errorf("unknown cloud %q; known: %s", c.Cloud, list(clouds()))
		}
		at = places[i]
	}
	container := at.name == "local" && c.Hypervisor == ""
	if f != "" {
		container = !f.Disk()
	}
	if c.Container != nil {
		container = *c.Container
	}
	if c.Nutshell { // container says what its machines are
		switch {
		case !container && c.Container != nil:
			return "", errors.New("a nutshell with virtual machines in it is not made, they would be emulated in most places: remove container = false; its machines are containers")
		case f != "" && !f.Disk():
			return "", fmt.Errorf("a nutshell is a virtual machine, and format %s a container: set format = raw, qcow2, vdi or ova", f)
		}
		container = false
	}
	switch {
	case f != "" && container && f.Disk():
		return "", fmt.Errorf("format %s is a virtual machine's, but container = true: set container = false, or format = rootfs, lxc or oci", f)
	case f != "" && !container && !f.Disk():
		return "", fmt.Errorf("format %s is a container's, but container = false: set container = true, or format = raw, qcow2, vdi or ova", f)
	case container && c.Hypervisor != "":
		return "", fmt.Errorf("a container has no hypervisor: remove hypervisor = %s, or set container = false", c.Hypervisor)
	case container && at.containers == nil:
		return "", fmt.Errorf("cloud %s starts no containers: set container = false, or another cloud", at.name)
	}
	if c.Hypervisor == "xen" {
		switch {
		case at.xen == "" && (c.Cloud != "" || f == ""):
			return "", fmt.Errorf("cloud %s does not run Xen: remove hypervisor = xen, or set cloud = ec2, openstack or opennebula", at.name)
		case f == FormatVDI || f == FormatOVA:
			return "", fmt.Errorf("format %s is of VirtualBox, not of Xen: remove hypervisor = xen, or set format = raw or qcow2", f)
		case f == "":
			return at.xen, nil
		}
	}
	fit := at.disks
	if container {
		fit = at.containers
	}
	if f == "" {
		return fit[0], nil
	}
	if c.Cloud != "" && !slices.Contains(fit, f) {
		return "", fmt.Errorf("cloud %s does not start from format %s: remove format, or use %s", at.name, f, list(fit))
	}
	return f, nil
}

func clouds() []string {
	var out []string
	for _, p := range places {
		out = append(out, p.name)
	}
	return out
}
