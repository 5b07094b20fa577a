package build

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"conpaas/imagebuilder/recipe"
)

// benched gives the recipe of a virtual machine with PHP and MySQL.
func benched(b *testing.B, format string) recipe.Recipe {
	b.Helper()
	c, err := recipe.Parse([]byte("[image]\nformat = " + format + "\n[services]\nhelloworld = off\njava = off\ngeneric = off\n"))
	if err != nil {
		b.Fatal(err)
	}
	r, err := c.Recipe()
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkImageBuild compares the making of a disk from nothing with bare mmdebstrap, which only installs the same packages:
// image_cold_ratio is of the root file system, image_cold_s of the whole. The other formats of disks are then made of what
// the cache has; the slowest counts.
func BenchmarkImageBuild(b *testing.B) {
	sources, missing, err := HostSources("/etc/apt")
	if err != nil || missing != "" {
		b.Fatalf("%v, %s", err, missing)
	}
	r := benched(b, "qcow2")
	var root time.Duration
	o := Options{Cache: b.TempDir(), Sources: sources, Progress: func(p Progress) {
		if root == 0 && p.Step == "measuring the root file system" { // the first step of a disk
			root = p.Elapsed
		}
	}}
	build := func(r recipe.Recipe) time.Duration {
		begun := time.Now()
		if _, err := Build(b.Context(), r, o); err != nil {
			b.Fatal(err)
		}
		return time.Since(begun)
	}
	// Before and after, as a busy host is not the same for long.
	bare := bareBuild(b, r, sources)
	cold := build(r)
	bare = (bare + bareBuild(b, r, sources)) / 2
	b.ReportMetric(cold.Seconds(), "image_cold_s")
	b.ReportMetric(bare.Seconds(), "image_cold_s.baseline")
	b.ReportMetric(root.Seconds()/bare.Seconds(), "image_cold_ratio")
	var warm time.Duration
	for _, format := range []string{"raw", "vdi", "ova"} {
		took := build(benched(b, format))
		b.ReportMetric(took.Seconds(), format+"-s")
		warm = max(warm, took)
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

// bareBuild tells how long mmdebstrap takes for the packages of a recipe, from the same sources, without scripts and
// exclusions of ours.
func bareBuild(b *testing.B, r recipe.Recipe, s Sources) time.Duration {
	b.Helper()
	begun, work := time.Now(), b.TempDir()
	args, list, err := bootstrap{recipe: r, sources: s, work: work}.prepare(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var bare []string
	for _, arg := range args {
		if !strings.HasPrefix(arg, "--setup-hook=") && !strings.HasPrefix(arg, "--customize-hook=") && !strings.HasPrefix(arg, "--dpkgopt=") {
			bare = append(bare, arg)
		}
	}
	cmd := exec.CommandContext(b.Context(), "mmdebstrap", append(bare, recipe.Codename, filepath.Join(work, "bare.tar"), "-")...)
	cmd.Stdin, cmd.Env = strings.NewReader(list), append(os.Environ(), "TMPDIR="+filepath.Join(work, "tmp"), "DEBIAN_FRONTEND=noninteractive")
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // no mount of one that dies stays
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("bare mmdebstrap: %v: %s", err, out[max(0, len(out)-2000):])
	}
	return time.Since(begun)
}
