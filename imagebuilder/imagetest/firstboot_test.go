package imagetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// firstBoot is user-data that tells what the machine has made of itself, and ends it.
const firstBoot = `#!/bin/sh
echo "first boot by $(cloud-id) as $(hostname), root has $(($(df --output=size / | tail -n 1) / 1024)) MiB; $(sgdisk --verify /dev/vda | grep --only-matching 'No problems found')" >/dev/console
poweroff --force
`

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// configDrive makes the volume by which OpenStack describes a machine.
func configDrive(t *testing.T, userData string) string {
	t.Helper()
	volume := filepath.Join(t.TempDir(), "config.img")
	command(t, "mformat", "-C", "-i", volume, "-f", "1440", "-v", "config-2", "::")
	command(t, "mmd", "-i", volume, "::/openstack", "::/openstack/latest")
	for name, text := range map[string]string{
		"meta_data.json": `{"uuid": "9b1c7f0e-6a3e-4d3f-9d52-2d5f1f2f8a01", "hostname": "made-by-nova"}`, "user_data": userData,
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		command(t, "mcopy", "-i", volume, file, "::/openstack/latest/"+name)
	}
	return volume
}

// TestFirstBoot: on a disk that is larger than the image the root file system grows, the partition table is right again, and
// the user-data of OpenStack's volume runs, not only that of NoCloud as in the other tests.
func TestFirstBoot(t *testing.T) {
	const size = 3 << 10 // MiB
	from, disk := image(t, "--format", "raw", "--services", "helloworld"), filepath.Join(t.TempDir(), "disk.qcow2")
	command(t, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", from, disk, strconv.Itoa(size)+"M")
	// Emulated, as there are hosts that have the device of KVM and cannot make a machine by it.
	said := command(
		t, "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-machine", "q35,accel=tcg", "-cpu", "max,la57=off", "-smp", "2", "-m", "1024", "-device", "virtio-rng-pci",
		"-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,romfile=",
		"-drive", "if=virtio,format=qcow2,file="+disk, "-drive", "if=virtio,format=raw,readonly=on,file="+configDrive(t, firstBoot),
	)
	told := regexp.MustCompile(`first boot by configdrive as made-by-nova, root has ([0-9]+) MiB; No problems found`).FindStringSubmatch(said)
	if told == nil {
		t.Fatalf("the end of the console:\n%s", said[max(0, len(said)-4000):])
	}
	if root, err := strconv.Atoi(told[1]); err != nil || root < size*9/10 {
		t.Errorf("root has %d MiB of a disk of %d MiB: %v", root, size, err)
	}
}
