package imagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// phpMySQL is the recipe whose figures are measured. MySQL is packages.
const phpMySQL = `[image]
format = qcow2
[services]
helloworld = off
[packages]
extra = mariadb-server galera-4 mariadb-backup
`

// BenchmarkImage is the size of the disk with PHP and MySQL and of the container with PHP, both compressed, and how long
// machines that boot them take from power-on to the join, first under each firmware.
func BenchmarkImage(b *testing.B) {
	dir := b.TempDir()
	recipe, packed := filepath.Join(dir, "recipe.cfg"), filepath.Join(dir, "php.tar.zst")
	if err := os.WriteFile(recipe, []byte(phpMySQL), 0o600); err != nil {
		b.Fatal(err)
	}
	vm := image(b, "--recipe", recipe)
	b.ReportMetric(megabytes(b, vm), "image_vm_mb")
	b.ReportMetric(megabytes(b, image(b, "--format", "rootfs", "--services", "php", "--output", packed)), "image_container_mb")
	joined := joins(b, vm)
	b.ReportMetric(joined["SeaBIOS"], "image_join_bios_s")
	b.ReportMetric(joined["OVMF"], "image_join_uefi_s")
	b.ReportMetric(joins(b, image(b, "--format", "rootfs", "--services", "php"))["container"], "image_join_container_s")
	reportLoad(b)
}

// megabytes gives the size of a file in units of 1 000 000 bytes.
func megabytes(b *testing.B, path string) float64 {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return float64(info.Size()) / 1e6
}

// joins verifies an image and gives the seconds from power-on to the join for each of what it boots under.
func joins(b *testing.B, path string) map[string]float64 {
	b.Helper()
	out, _, err := cpsimage(b, b.TempDir(), "verify", path)
	if err != nil {
		b.Fatal(err)
	}
	found := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+): joined ([0-9.]+) s`).FindAllStringSubmatch(out, -1) {
		if found[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			b.Fatal(err)
		}
	}
	return found
}

// reportLoad tells how busy the host was: the average of the last minute.
func reportLoad(b *testing.B) {
	b.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		b.Fatal(err)
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(load, "load")
}
