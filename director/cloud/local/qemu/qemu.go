// Package qemu runs virtual machines by the programs of qemu: the arguments of a machine, its disks, and the commands
// to a machine that runs.
//
// It knows nothing of clouds, networks or what is in an image. A machine boots by the loader of its disk.
package qemu

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

// Program is the emulator.
const Program = "qemu-system-x86_64"

// ErrRefused is wrapped by errors that only another image, or another program on the host, can mend.
var ErrRefused = errors.New("no virtual machine can be made")

// Firmware is what a machine begins with.
type Firmware string

// The firmwares.
const (
	BIOS Firmware = "bios" // SeaBIOS
	UEFI Firmware = "uefi" // OVMF, of Debian's package ovmf
)

// OVMF's code, which machines share, and the variables that each has a copy of.
const (
	ovmfCode      = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// The files of a machine, in the directory that the emulator runs in.
const (
	disk      = "disk.qcow2"
	seed      = "seed.img"
	variables = "firmware.fd"
	socket    = "qmp"
)

// Config is one machine.
type Config struct {
	Name      string // of the process
	Firmware  Firmware
	MemoryMiB int
	CPUs      int
	MAC       net.HardwareAddr
	KVM       bool   // else the processor is emulated, which is slow
	Console   string // file that gets what the machine prints on its serial port
	User      uint32 // and group that the emulator becomes; 0: it stays what it is
	Tap, QMP  int    // descriptors of the machine's port, and of the socket that listens for commands
}

// Args gives the program with its arguments. The machine waits until it is told to go on.
func (c Config) Args() []string {
	args := []string{
		Program, "-name", c.Name, "-nodefaults", "-no-user-config", "-display", "none", "-S",
		"-sandbox", "on,obsolete=deny,spawn=deny,resourcecontrol=deny",
		"-machine", "q35", "-smp", fmt.Sprint(c.CPUs), "-m", fmt.Sprint(c.MemoryMiB),
	}
	if c.KVM {
		args = append(args, byKVM...)
	} else {
		args = append(args, "-accel", "tcg", "-cpu", "max,la57=off") // a fifth level of page tables is slow to emulate
	}
	if c.Firmware == UEFI {
		args = append(
			args,
			"-drive", "if=pflash,format=raw,readonly=on,file="+ovmfCode,
			"-drive", "if=pflash,format=raw,file="+variables,
		)
	}
	if c.User != 0 {
		args = append(args, "-runas", fmt.Sprintf("%d:%d", c.User, c.User))
	}
	for i := range slots { // where volumes are plugged in while the machine runs
		args = append(args, "-device", fmt.Sprintf("pcie-root-port,id=%s,chassis=%d", slot(i), i+1))
	}
	return append(
		args,
		"-drive", "if=virtio,format=qcow2,discard=unmap,file="+disk,
		"-drive", "if=virtio,format=raw,readonly=on,file="+seed,
		"-netdev", fmt.Sprintf("tap,id=net,fd=%d", c.Tap),
		"-device", "virtio-net-pci,netdev=net,romfile=,mac="+c.MAC.String(),
		"-device", "virtio-rng-pci",
		"-chardev", "file,id=console,append=on,path="+c.Console, "-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=qmp,fd=%d,server=on,wait=off", c.QMP), "-mon", "chardev=qmp,mode=control",
	)
}

// Missing names what machines of a firmware need and this host lacks, with the packages that have it.
func Missing(f Firmware) error {
	var lacks, packages []string
	for _, tool := range [][2]string{{Program, "qemu-system-x86"}, {"qemu-img", "qemu-utils"}, {"mformat", "mtools"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			lacks, packages = append(lacks, tool[0]), append(packages, tool[1])
		}
	}
	if _, err := os.Stat(ovmfCode); err != nil && f == UEFI {
		lacks, packages = append(lacks, ovmfCode), append(packages, "ovmf")
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("%w: this host lacks %s; apt-get install --no-install-recommends %s", ErrRefused, strings.Join(lacks, ", "), strings.Join(packages, " "))
}
