package java

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
	"conpaas/agent/services/hosting"
)

// Where the distribution has what is needed.
const (
	home     = "/usr/share/tomcat10"
	compiler = "/usr/share/java/eclipse-jdt-core.jar" // by which Tomcat compiles JSP pages
	migrator = "/usr/share/tomcat-jakartaee-migration/lib/*"
)

// jars of Tomcat that our classes are compiled against.
var jars = [...]string{
	home + "/lib/catalina.jar", home + "/lib/tomcat-coyote.jar", home + "/lib/tomcat-util.jar", home + "/lib/tomcat-api.jar",
	home + "/lib/servlet-api.jar", home + "/lib/jaspic-api.jar", home + "/lib/annotations-api.jar", home + "/bin/tomcat-juli.jar",
}

func findJava(h *host.Host) (string, error) {
	path, err := h.Look("java")
	if err != nil {
		return "", fmt.Errorf("%w; the image needs the packages tomcat10 and openjdk-17-jre-headless", err)
	}
	return path, nil
}

// sources gives our classes and a name for all their text.
func sources() (text map[string][]byte, mark string, err error) {
	const dir = "classes/conpaas"
	all, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, "", err
	}
	text, sum := map[string][]byte{}, sha256.New()
	for _, f := range all {
		data, err := files.ReadFile(dir + "/" + f.Name())
		if err != nil {
			return nil, "", err
		}
		text[f.Name()] = data
		fmt.Fprintf(sum, "%s %d\n%s", f.Name(), len(data), data)
	}
	return text, hex.EncodeToString(sum.Sum(nil)[:8]), nil
}

// compile makes our classes of their source, once, and gives the directory where they are, below the host's state directory. What is
// compiled here fits the Tomcat and the Java of the machine. Its caller holds mu.
func compile(ctx context.Context, p hosting.Site) (dir string, err error) {
	text, mark, err := sources()
	if err != nil {
		return "", err
	}
	h, dir := p.Host, p.Base+"/classes-"+mark
	present, err := h.State().Directories(p.Base)
	if err != nil || slices.Contains(present, "classes-"+mark) {
		return dir, err
	}
	java, err := findJava(h)
	if err != nil {
		return "", err
	}
	staging := p.Base + "/new-classes"
	if err := h.State().Remove(staging); err != nil {
		return "", err
	}
	for _, d := range []string{staging, staging + "/conpaas"} {
		if err := h.State().Mkdir(d, 0o755, host.User{}); err != nil {
			return "", err
		}
	}
	args := []string{
		"-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", compiler, "org.eclipse.jdt.internal.compiler.batch.Main",
		"-17", "-proc:none", "-cp", strings.Join(jars[:], ":"), "-d", p.Path(staging),
	}
	for name, data := range text {
		if _, err := h.State().Write(staging+"/conpaas/"+name, data, 0o644); err != nil {
			return "", err
		}
		args = append(args, p.Path(staging+"/conpaas/"+name))
	}
	output, exit, err := h.Command(ctx, host.Command{Path: java, Args: args})
	if err == nil && exit != 0 {
		err = fmt.Errorf("the image needs the packages tomcat10 and openjdk-17-jre-headless: %s", conf.Words(output))
	}
	if err != nil {
		return "", fmt.Errorf("compile the classes for Tomcat: %w", err)
	}
	return dir, h.State().Rename(staging, dir)
}
