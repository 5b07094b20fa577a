package imagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// phpMySQL is the recipe whose figures are measured.
const phpMySQL = `[image]
format = qcow2
[services]
helloworld = off
`

// disk gives the disk with PHP and MySQL, from the cache where it is there.
func disk(b *testing.B) string {
	b.Helper()
	recipe := filepath.Join(b.TempDir(), "recipe.cfg")
	if err := os.WriteFile(recipe, []byte(phpMySQL), 0o600); err != nil {
		b.Fatal(err)
	}
	return image(b, "--recipe", recipe)
}

// BenchmarkImageSize is how large the disk with PHP and MySQL and the container with PHP are, both compressed.
func BenchmarkImageSize(b *testing.B) {
	packed := filepath.Join(b.TempDir(), "php.tar.zst")
	b.ReportMetric(megabytes(b, disk(b)), "image_vm_mb")
	b.ReportMetric(megabytes(b, image(b, "--format", "rootfs", "--services", "php", "--output", packed)), "image_container_mb")
	reportLoad(b)
}

// BenchmarkImageJoin is how long machines take from power-on to the join, the virtual one with PHP and MySQL under each
// firmware, by emulation where there is no KVM.
func BenchmarkImageJoin(b *testing.B) {
	joined := joins(b, disk(b))
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
