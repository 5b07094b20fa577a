package build

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conpaas/imagebuilder/recipe"
)

// benched gives the recipe of a virtual machine with PHP and MySQL, whose packages are extra ones.
func benched(b *testing.B, format string) recipe.Recipe {
	b.Helper()
	c, err := recipe.Parse([]byte("[image]\nformat = " + format + "\n[services]\nhelloworld = off\n[packages]\nextra = mariadb-server galera-4 mariadb-backup\n"))
	if err != nil {
		b.Fatal(err)
	}
	r, err := c.Recipe()
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkImageBuild compares the making of a compressed disk from nothing with bare mmdebstrap, which only installs the same
// packages, and then makes the other formats of disks of what the cache has; the slowest counts.
func BenchmarkImageBuild(b *testing.B) {
	sources, missing, err := HostSources("/etc/apt")
	if err != nil || missing != "" {
		b.Fatalf("%v, %s", err, missing)
	}
	r := benched(b, "qcow2")
	took := func(work func() error) time.Duration {
		begun := time.Now()
		if err := work(); err != nil {
			b.Fatal(err)
		}
		return time.Since(begun)
	}
	bare := took(func() error { return bareBuild(b, r, sources) })
	o := Options{Cache: b.TempDir(), Sources: sources}
	build := func(r recipe.Recipe) time.Duration {
		return took(func() error { _, err := Build(b.Context(), r, o); return err })
	}
	cold := build(r)
	b.ReportMetric(cold.Seconds(), "image_cold_s")
	b.ReportMetric(bare.Seconds(), "image_cold_s.baseline")
	b.ReportMetric(cold.Seconds()/bare.Seconds(), "image_cold_ratio")
	var warm time.Duration
	for _, format := range []string{"raw", "vdi", "ova"} {
		warm = max(warm, build(benched(b, format)))
	}
	b.ReportMetric(warm.Seconds(), "image_warm_s")
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

// bareBuild runs mmdebstrap for the packages of a recipe, from the same sources, without scripts and exclusions of ours.
func bareBuild(b *testing.B, r recipe.Recipe, s Sources) error {
	work := b.TempDir()
	args, list, err := bootstrap{recipe: r, sources: s, work: work}.prepare(b.Context())
	if err != nil {
		return err
	}
	var bare []string
	for _, arg := range args {
		if !strings.HasPrefix(arg, "--setup-hook=") && !strings.HasPrefix(arg, "--customize-hook=") && !strings.HasPrefix(arg, "--dpkgopt=") {
			bare = append(bare, arg)
		}
	}
	cmd := exec.CommandContext(b.Context(), "mmdebstrap", append(bare, recipe.Codename, filepath.Join(work, "bare.tar"), "-")...)
	cmd.Stdin, cmd.Env = strings.NewReader(list), append(os.Environ(), "TMPDIR="+filepath.Join(work, "tmp"), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bare mmdebstrap: %w: %s", err, out[max(0, len(out)-2000):])
	}
	return nil
}
