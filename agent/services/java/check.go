package java

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
	"conpaas/agent/services/hosting"
	"conpaas/client/api"
	"conpaas/client/archive"
)

// Bounds of a check.
const (
	convertTime = 5 * time.Minute
	logLines    = 10_000
	reasonLines = 6
	reasonBytes = 1500
)

// Check implements hosting.Runner: Tomcat starts the version beside what serves. It goes on running, since it is to serve.
func (r *runner) Check(ctx context.Context, p hosting.Site, v api.CodeBlob, c api.HostingBackendConfig, say hosting.Say) (broken string, err error) {
	if broken, err = r.convert(ctx, p, v.ID, say); broken != "" || err != nil {
		return broken, err
	}
	say("Tomcat starts it")
	all, err := r.plans(ctx, p, []api.CodeBlob{v}, c)
	if err != nil {
		return "", err
	}
	x := all[0]
	began := time.Now()
	if err := r.launch(ctx, p, x); err != nil {
		return "", err
	}
	broken, err = r.watch(ctx, p, x, began)
	if broken == "" && err == nil {
		return "", nil
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*endGrace)
	defer cancel()
	return broken, errors.Join(err, r.discard(ending, p, x.Mark))
}

// discard ends an instance that was only tried.
func (r *runner) discard(ctx context.Context, p hosting.Site, mark string) error {
	if err := p.Host.Service().Stop(ctx, programName(mark)); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.Host.State().Remove(baseDir(p, mark))
}

// watch waits until an instance is up, or has failed.
func (r *runner) watch(ctx context.Context, p hosting.Site, x instance, began time.Time) (broken string, err error) {
	limit := time.NewTimer(r.start)
	defer limit.Stop()
	ticker := time.NewTicker(lookGap)
	defer ticker.Stop()
	ended := ""
	for {
		a, err := ask(ctx, p, x.Mark)
		if err == nil && a.up() {
			return "", nil
		}
		state, known := p.Host.Service().State(x.program.Name)
		ended = cmp.Or(state.Error, ended)
		switch {
		case err == nil:
			return "Tomcat cannot start it" + reason(p, x.Version, began), nil
		case !known:
			return "", errors.New("Tomcat was ended while it started the version")
		case state.Restarts > 1 || state.PID == 0 && state.Restarts == 0: // one end may be of a cause outside of the program
			return "Tomcat ends while it starts it: " + ended + reason(p, x.Version, began), nil
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-limit.C:
			return fmt.Sprintf("it has not been started within %s; let it begin long work after its start", r.start) + reason(p, x.Version, began), nil
		case <-ticker.C:
		}
	}
}

// reason gives the first error that the log has of a version since a time: its line, and the causes.
func reason(p hosting.Site, version string, since time.Time) string {
	dir := p.Path(programsDir(p, version) + "/" + root)
	data, err := p.Host.Logs().Tail(catalina, logLines)
	if err != nil {
		return ""
	}
	if text := firstError(string(data), version, since); text != "" {
		return ": " + strings.ReplaceAll(text, "file:"+dir+"/", "")
	}
	return ""
}

// stamp is how logging.properties has lines begin.
const stamp = "2006-01-02T15:04:05-0700"

// firstError finds the first line of level SEVERE and what names its causes. The lines of Tomcat that only say that something else has
// failed are taken where there is no other one.
func firstError(log, version string, since time.Time) string {
	var best []string
	taken, rank := false, 0
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(strings.ToValidUTF8(line, "?"))
		f := strings.SplitN(line, " ", 4)
		when, err := time.Parse(stamp, f[0])
		if err == nil && len(f) == 4 {
			taken = false
			if when.Before(since.Truncate(time.Second)) || f[1] != "SEVERE" || f[2] != version {
				continue
			}
			now := 1
			if strings.Contains(f[3], "Full details will be found") || strings.Contains(f[3], "due to previous errors") {
				now = 0
			}
			if best == nil || now > rank {
				_, text, _ := strings.Cut(f[3], ": ") // the logger stands before it
				best, taken, rank = []string{text}, true, now
			}
			continue
		}
		if taken && len(best) < reasonLines && (len(best) == 1 && line != "" && !strings.HasPrefix(line, "at ") || strings.HasPrefix(line, "Caused by: ")) {
			best = append(best, line)
		}
	}
	text := strings.Join(best, "\n")
	if len(text) > reasonBytes {
		text = strings.ToValidUTF8(text[:reasonBytes], "") + " …"
	}
	return text
}

// convert makes of a program for javax one for Jakarta, once, as the user that runs programs.
func (r *runner) convert(ctx context.Context, p hosting.Site, id string, say hosting.Say) (broken string, err error) {
	h, dir := p.Host, p.Code()+"/"+id
	source := dir + "/" + programs + "/" + root
	if programsDir(p, id) != dir+"/"+programs {
		return "", nil
	}
	program, err := h.State().Directory(source)
	if err != nil {
		return "", err
	}
	f, err := look(ctx, program)
	if err = errors.Join(err, program.Close()); err != nil || !f.javax {
		return "", err
	}
	say("it is converted from javax to jakarta")
	java, err := findJava(h)
	if err != nil {
		return "", err
	}
	user, err := h.User(hosting.User)
	if err != nil {
		return "", err
	}
	work, staging := p.Temp()+"/convert", dir+"/new-"+converted
	if err := errors.Join(h.State().Remove(work), h.State().Remove(staging)); err != nil {
		return "", err
	}
	if err := h.State().Mkdir(work, 0o700, user); err != nil {
		return "", err
	}
	bounded, cancel := context.WithTimeout(ctx, convertTime)
	defer cancel()
	output, exit, err := h.Command(bounded, host.Command{Path: java, User: user, Args: []string{
		"-Xmx256m", "-XX:+UseSerialGC", "-Djava.io.tmpdir=" + p.Path(work), "-cp", migrator, "org.apache.tomcat.jakartaee.MigrationCLI", p.Path(source), p.Path(work + "/" + root),
	}})
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case bounded.Err() != nil:
		return fmt.Sprintf("it was made for javax.servlet, and was not converted to jakarta.servlet within %s; build it for jakarta", convertTime), nil
	case err != nil:
		return "", err
	case exit != 0:
		return "it was made for javax.servlet, and cannot be converted to jakarta.servlet; build it for jakarta: " + conf.Words(output), nil
	}
	err = adopt(ctx, h, work+"/"+root, staging+"/"+root)
	if bad := new(archive.Error); errors.As(err, &bad) {
		return bad.Error(), nil
	}
	if err != nil {
		return "", err
	}
	if err := errors.Join(h.State().Remove(work), h.State().Flush(staging), h.State().Rename(staging, dir+"/"+converted)); err != nil {
		return "", err
	}
	return "", tell(h, fmt.Sprintf("%s WARNING %s conpaas: it was made for javax.servlet and is run converted to jakarta.servlet\n", time.Now().Format(stamp), id))
}

// tell writes into the log of the instances.
func tell(h *host.Host, line string) error {
	w, err := h.Logs().Writer(catalina)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, line)
	return errors.Join(err, w.Close())
}

// adopt copies a tree that another user has made, as root's own: regular files and directories of it, within the limits of archives.
func adopt(ctx context.Context, h *host.Host, from, to string) error {
	for _, dir := range []string{path.Dir(to), to} {
		if err := mkdirs(h, dir); err != nil {
			return err
		}
	}
	source, err := h.State().Directory(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := h.State().Directory(to)
	if err != nil {
		return err
	}
	defer target.Close()
	limits := archive.DefaultLimits()
	count, left := 0, limits.Bytes
	return fs.WalkDir(source.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == "." {
			return err
		}
		if count++; count > limits.Entries || left <= 0 {
			return &archive.Error{Problem: "is too large once it is converted from javax to jakarta", Remedy: "build it for jakarta"}
		}
		switch {
		case d.IsDir():
			return mkdirs(h, to+"/"+name)
		case d.Type().IsRegular():
			n, err := copyFile(source, target, name, left)
			left -= n
			return err
		}
		return nil
	})
}

func copyFile(source, target *os.Root, name string, most int64) (n int64, err error) {
	in, err := source.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := target.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(out, io.LimitReader(in, most))
	return n, errors.Join(err, out.Chmod(0o644), out.Close())
}
