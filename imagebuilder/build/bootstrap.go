package build

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"conpaas/imagebuilder/disk"
	"conpaas/imagebuilder/recipe"
)

//go:embed setup.sh
var setupScript string

//go:embed customize.sh
var customizeScript string

//go:embed preinstall.sh
var preinstallScript string

//go:embed optimize.sh
var optimizeScript string

//go:embed lxc.sh
var lxcScript string

// mergedUsr is the directory of mmdebstrap's own scripts for a merged /usr without the package usrmerge.
const mergedUsr = "/usr/share/mmdebstrap/hooks/merged-usr"

// tail is how many of mmdebstrap's last lines an error shows.
const tail = 25

// bootstrap makes the root file system of a recipe as a tar archive.
type bootstrap struct {
	recipe  recipe.Recipe
	sources Sources
	runs    emulator
	work    string   // directory for this build alone
	held    *os.File // the lock; mmdebstrap inherits it, so that it lasts as long as mmdebstrap does
	step    func(text string)
}

// options are the arguments of mmdebstrap that the content depends on.
func options(r recipe.Recipe) []string {
	out := []string{
		"--variant=minbase", "--format=tar", "--architectures=" + r.Architecture,
		"--skip=chroot/policy-rc.d", // setup.sh has one that stays
		"--skip=output/dev",         // device files are the runtime's, and only root could unpack them
		`--aptopt=APT::Install-Recommends "false"`, `--aptopt=Acquire::Languages "none"`,
	}
	if r.Optimize {
		for _, path := range excluded {
			out = append(out, "--dpkgopt=path-exclude="+path)
		}
		// Licences must go with the programs.
		out = append(out, "--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=path-include=/usr/share/locale/locale.alias")
	}
	return append(out, "--include="+strings.Join(packages(r), ","))
}

// excluded are the files that dpkg leaves out of an optimized image, whatever packages they belong to; * is any text.
// docs/images.md names them for people.
var excluded = []string{
	"/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*", "/usr/share/linda/*",
	"/usr/share/groff/*",
	// Manuals of Java, whose links into the directory of all manuals could not be made, and what makes a JVM with more than 32 GiB begin faster.
	"/usr/lib/jvm/*/man/*", "/usr/lib/jvm/*/lib/server/classes_nocoops.jsa",
	// C headers of Perl, for building its modules.
	"/usr/lib/*/perl/*/CORE/*.h",
	// Each program of MariaDB has a copy of its library, 5 MB. These show and repair the files of a stopped server, try its
	// load, and help its developers; no other program of the packages runs them.
	"/usr/bin/aria_*", "/usr/bin/myisam*", "/usr/bin/innochecksum", "/usr/bin/resolve_stack_dump", "/usr/bin/replace",
	"/usr/bin/mariadb-slap", "/usr/bin/mysqlslap", "/usr/bin/mariadb-conv", "/usr/bin/mariadb-plugin", "/usr/bin/mysql_plugin",
	"/usr/bin/mariadb-waitpid", "/usr/bin/mysql_waitpid", "/usr/bin/msql2mysql",
}

// packages gives those of the recipe with what its format needs.
func packages(r recipe.Recipe) []string {
	out := slices.Clone(r.Packages)
	if r.Format.Disk() {
		out = append(out, disk.Packages(r.Architecture)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// hook is a script that mmdebstrap runs with the root file system as its argument.
type hook struct{ name, text string }

// hooks gives the scripts for the empty root file system and for the one with all packages, in the order of their work.
func hooks(r recipe.Recipe) (setup, customize []hook) {
	setup = []hook{{"setup.sh", setupScript}}
	if !(payload{r}).empty() {
		customize = append(customize, hook{"preinstall.sh", preinstallScript})
	}
	customize = append(customize, hook{"customize.sh", customizeScript})
	if r.Optimize {
		customize = append(customize, hook{"optimize.sh", optimizeScript})
	}
	switch {
	case r.Format.Disk():
		setup = append(setup, hook{"disk-setup.sh", disk.Setup})
		customize = append(customize, hook{"disk.sh", disk.Customize})
	case r.Format == recipe.FormatLXC:
		customize = append(customize, hook{"lxc.sh", lxcScript})
	}
	return setup, customize
}

// run gives the path of the archive inside the work directory.
func (b bootstrap) run(ctx context.Context) (string, error) {
	b.step("preparing")
	args, sources, err := b.prepare(ctx)
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.work, "rootfs.tar")
	args = append(args, recipe.Codename, file, "-")
	if err := b.mmdebstrap(ctx, args, sources); err != nil {
		return "", err
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		return "", errors.New("mmdebstrap has succeeded and written nothing")
	}
	if err := b.addDev(ctx, file); err != nil {
		return "", err
	}
	return file, nil
}

// addDev adds the empty directory /dev, where a runtime mounts its own: mmdebstrap skips it with its files.
func (b bootstrap) addDev(ctx context.Context, file string) error {
	empty := filepath.Join(b.work, "empty")
	if err := os.MkdirAll(filepath.Join(empty, "dev"), 0o755); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "tar", "--append", "--file="+file, "--owner=root:0", "--group=root:0", "--mode=0755", "--directory="+empty, "./dev").CombinedOutput()
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("add /dev to the archive: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// prepare writes the scripts and gives mmdebstrap's arguments and the sources.list for its standard input.
func (b bootstrap) prepare(ctx context.Context) (args []string, sources string, err error) {
	apt, err := hostOptions(ctx)
	if err != nil {
		return nil, "", err
	}
	if err := os.Chmod(b.work, 0o755); err != nil { // apt downloads as a user of its own
		return nil, "", err
	}
	aptConf := filepath.Join(b.work, "apt.conf")
	err = errors.Join(
		os.WriteFile(filepath.Join(b.work, "sources.list"), []byte(b.sources.image()), 0o644),
		os.WriteFile(aptConf, []byte(apt), 0o644), // in mode unshare another user id reads it; the host's own is as readable
		os.Mkdir(filepath.Join(b.work, "tmp"), 0o1777),
		payload{b.recipe}.write(ctx, b.work),
	)
	if err != nil {
		return nil, "", err
	}
	setup, customize := hooks(b.recipe)
	for i, list := range [][]hook{setup, customize} {
		option := []string{"--setup-hook=", "--customize-hook="}[i]
		for _, h := range list {
			file := filepath.Join(b.work, h.name)
			if err := os.WriteFile(file, []byte(h.text), 0o755); err != nil {
				return nil, "", err
			}
			args = append(args, option+file)
		}
	}
	keys := 0
	sources, err = b.sources.build(func(key string) (string, error) {
		keys++
		file := filepath.Join(b.work, fmt.Sprintf("key%d.asc", keys))
		return file, os.WriteFile(file, []byte(key+"\n"), 0o644)
	})
	if err != nil {
		return nil, "", err
	}
	args = append([]string{
		b.runs.mode(), "--aptopt=" + aptConf, "--hook-dir=" + mergedUsr,
		"--skip=check/qemu",         // findEmulator has looked, and needs no other program
		"--dpkgopt=force-unsafe-io", // a build that is cut short is thrown away; customize.sh removes this
	}, args...)
	return append(args, options(b.recipe)...), sources, nil
}

// mmdebstrap runs it and tells its steps.
func (b bootstrap) mmdebstrap(ctx context.Context, args []string, sources string) error {
	cmd := b.runs.command(ctx, append([]string{"mmdebstrap"}, args...)...)
	cmd.Stdin = strings.NewReader(sources)
	cmd.Env = append(os.Environ(), "TMPDIR="+filepath.Join(b.work, "tmp"), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	cmd.ExtraFiles = []*os.File{b.held}
	cmd.SysProcAttr.Setpgid = true
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd.Stdout, cmd.Stderr = write, write
	err = cmd.Start()
	write.Close()
	if err != nil {
		return err
	}
	last := make(chan []string, 1)
	go func() { last <- b.follow(read) }()
	err = cmd.Wait()
	// ESRCH: the whole group has ended, as it should.
	if kill := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); kill != nil && !errors.Is(kill, syscall.ESRCH) {
		err = errors.Join(err, kill)
	}
	lines := <-last
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return fmt.Errorf("mmdebstrap: %w; its last lines:\n%s", err, strings.Join(lines, "\n"))
	}
	return nil
}

// follow tells the steps among mmdebstrap's lines and gives the last ones.
func (b bootstrap) follow(r io.Reader) []string {
	var last []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	lines.Split(splitLines)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), " ")
		if line == "" {
			continue
		}
		last = append(last, line)
		last = last[max(0, len(last)-tail):]
		if text, ok := strings.CutPrefix(line, "conpaas: "); ok { // of a script
			b.step(text)
		} else if text, ok := strings.CutPrefix(line, "I: "); ok {
			if i := slices.IndexFunc(steps, func(s [2]string) bool { return strings.HasPrefix(text, s[0]) }); i >= 0 {
				b.step(steps[i][1])
			}
		}
	}
	_, _ = io.Copy(io.Discard, r) // a line that is too long ends the scan, and mmdebstrap must not block on the pipe
	return last
}

// steps pairs the begin of a line of mmdebstrap with what to tell.
var steps = [][2]string{
	{"running apt-get update", "reading the package lists"},
	{"downloading packages", "downloading the required packages"},
	{"extracting archives", "unpacking them"},
	{"installing essential packages", "installing them"},
	{"installing remaining packages", "installing the packages of the recipe"},
	{"cleaning package lists", "cleaning up"},
	{"creating tarball", "writing the archive"},
}

// splitLines is bufio.ScanLines for lines that end in a carriage return as well, as progress bars do.
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexAny(data, "\r\n"); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
