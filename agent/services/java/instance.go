package java

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"conpaas/agent/host"
	"conpaas/agent/services/hosting"
	"conpaas/client/api"
)

// instance is one Tomcat that runs one version with one configuration.
type instance struct {
	Version string
	Mark    string // of the version and the configuration: its name
	Socket  string // path

	program host.Program
	confs   map[string][]byte // in its directory conf
}

// tomcatValues fill the files of an instance.
type tomcatValues struct {
	Version, Socket, Programs string
	Home, Classes             string // paths
	Logs, AccessLog           string
	Threads                   int
	Post                      int64
	Redis, Holder             string
	Patience                  int // seconds
}

// programName is that of an instance under its supervisor.
func programName(mark string) string { return "tomcat-" + mark }

// baseDir is where an instance has its files, below the host's state directory.
func baseDir(p hosting.Site, mark string) string { return p.Base + "/tomcat/" + mark }

// socketDir has the sockets of the instances, which the user of programs makes.
func socketDir(p hosting.Site) string { return p.Run + "/tomcat" }

func socketPath(p hosting.Site, mark string) string { return p.RunPath("tomcat/" + mark) }

// plan gives the instance of a version. java and classes are paths.
func plan(p hosting.Site, v api.CodeBlob, c api.HostingBackendConfig, java, classes string, user host.User) (instance, error) {
	s, err := readSettings(c.Settings)
	if err != nil {
		return instance{}, err
	}
	env, err := readEnv(c.Env)
	if err != nil {
		return instance{}, err
	}
	values := tomcatValues{
		Version: v.ID, Programs: p.Path(programsDir(p, v.ID)), Home: home, Classes: classes, Logs: filepath.Dir(p.Host.Logs().Path(accessLog)),
		AccessLog: accessLog, Threads: s.threads, Post: s.post, Redis: c.Sessions.Listen.String(), Holder: hosting.HostName(), Patience: hosting.Patience(c.Patience),
	}
	env = append(env, "CONPAAS_SESSIONS="+c.Sessions.Password, "LANG=C.UTF-8")
	args := []string{
		"-Xmx" + strconv.FormatInt(s.heap, 10), "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData", "-Djava.awt.headless=true", "-Dfile.encoding=UTF-8",
		"-Djava.util.logging.manager=org.apache.juli.ClassLoaderLogManager", "-Dorg.apache.catalina.connector.RECYCLE_FACADES=true",
	}
	for _, open := range []string{"java.base/java.lang", "java.base/java.io", "java.base/java.util", "java.base/java.util.concurrent", "java.rmi/sun.rmi.transport"} {
		args = append(args, "--add-opens="+open+"=ALL-UNNAMED") // as Tomcat's own start does
	}
	// What makes the instance: all but what follows from its name.
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q %+v", v.SHA256, args, env, values)
	x := instance{Version: v.ID, Mark: hex.EncodeToString(sum.Sum(nil)[:8]), confs: map[string][]byte{}}
	x.Socket = socketPath(p, x.Mark)
	values.Socket = x.Socket
	for _, name := range []string{"server.xml", "context.xml", "catalina.properties", "logging.properties"} {
		if x.confs[name], err = hosting.Render(files, name, values); err != nil {
			return instance{}, err
		}
	}
	base := p.Path(baseDir(p, x.Mark))
	args = append(args,
		"-Djava.util.logging.config.file="+base+"/conf/logging.properties", "-Dcatalina.home="+home, "-Dcatalina.base="+base, "-Djava.io.tmpdir="+base+"/temp",
		"-cp", home+"/bin/bootstrap.jar:"+home+"/bin/tomcat-juli.jar", "org.apache.catalina.startup.Bootstrap", "start",
	)
	x.program = host.Program{
		Name: programName(x.Mark), Path: java, Args: args, Env: append(slices.Clip(env), "HOME="+base+"/temp"), Log: catalina, User: user, Grace: endGrace,
	}
	return x, nil
}

// plans gives the instances of versions.
func (r *runner) plans(ctx context.Context, p hosting.Site, versions []api.CodeBlob, c api.HostingBackendConfig) ([]instance, error) {
	java, err := findJava(p.Host)
	if err != nil {
		return nil, err
	}
	user, err := p.Host.User(hosting.User)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	classes, err := compile(ctx, p)
	if err != nil {
		return nil, err
	}
	var all []instance
	for _, v := range versions {
		x, err := plan(p, v, c, java, p.Path(classes), user)
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// launch makes an instance run. One that runs is not disturbed.
func (r *runner) launch(ctx context.Context, p hosting.Site, x instance) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, base := p.Host, baseDir(p, x.Mark)
	for _, dir := range []string{p.Base + "/tomcat", base, base + "/conf"} {
		if err := h.State().Mkdir(dir, 0o755, host.User{}); err != nil {
			return err
		}
	}
	for _, dir := range []string{base + "/temp", base + "/work", base + "/logs"} {
		if err := h.State().Mkdir(dir, 0o700, x.program.User); err != nil {
			return err
		}
	}
	if err := h.Run().Mkdir(socketDir(p), 0o750, x.program.User); err != nil {
		return err
	}
	if err := h.Logs().Make(accessLog, x.program.User); err != nil {
		return err
	}
	for name, text := range x.confs {
		if _, err := h.State().Write(base+"/conf/"+name, text, 0o644); err != nil {
			return err
		}
	}
	return h.Service().Ensure(ctx, x.program)
}

// forget ends an instance and removes its files.
func (r *runner) forget(ctx context.Context, p hosting.Site, mark string) error {
	if err := p.Host.Service().Stop(ctx, programName(mark)); err != nil {
		return err
	}
	delete(r.idle, mark)
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.Host.State().Remove(baseDir(p, mark))
}
