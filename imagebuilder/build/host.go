package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"conpaas/imagebuilder/disk"
	"conpaas/imagebuilder/recipe"
)

// hostOptions gives those options of this host's apt that say how its mirrors are reached, in the form of apt.conf(5).
// mmdebstrap reads none of the host's. They are for the build only: customize.sh removes them from the image.
func hostOptions(ctx context.Context) (string, error) {
	text, err := exec.CommandContext(ctx, "apt-config", "dump").Output()
	if err != nil {
		return "", fmt.Errorf("apt-config dump: %w", err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		name, _, _ := strings.Cut(line, " ")
		name = strings.ToLower(name)
		for _, prefix := range []string{"acquire::http::", "acquire::https::", "acquire::check-", "acquire::retries", "acquire::forceipv"} {
			if strings.HasPrefix(name, prefix) {
				out.WriteString(line)
				break
			}
		}
	}
	return out.String(), nil
}

// checkTools names everything that a build runs and this host lacks, with the packages that have it.
func checkTools(root bool, r recipe.Recipe, s Sources) error {
	var missing, packages []string
	lack := func(name, pkg string) {
		missing = append(missing, fmt.Sprintf("%s (package %s)", name, pkg))
		if !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
	}
	for _, t := range tools(root, r) {
		if !there(t.Name) {
			lack(path.Base(t.Name), t.Package)
		}
	}
	if slices.ContainsFunc(s, func(x Source) bool { return x.SignedBy == debianKeyring }) && !there(debianKeyring) {
		lack(path.Base(debianKeyring), "debian-archive-keyring")
	}
	if len(missing) > 0 {
		return fmt.Errorf("this host lacks %s; run: apt-get install %s", strings.Join(missing, ", "), strings.Join(packages, " "))
	}
	return nil
}

func tools(root bool, r recipe.Recipe) []disk.Tool {
	out := []disk.Tool{{Name: "mmdebstrap", Package: "mmdebstrap"}, {Name: "apt-get", Package: "apt"}, {Name: "apt-config", Package: "apt"}, {Name: "dpkg", Package: "dpkg"}, {Name: "tar", Package: "tar"}, {Name: "gpgv", Package: "gpgv"}}
	if !root {
		out = append(out, disk.Tool{Name: "unshare", Package: "util-linux"}, disk.Tool{Name: "newuidmap", Package: "uidmap"}, disk.Tool{Name: "newgidmap", Package: "uidmap"})
	}
	files := []string{".tar." + string(r.Compression)}
	for _, c := range r.Copies {
		files = append(files, archiveKind(c.From))
	}
	if slices.Contains(files, ".tar.xz") {
		out = append(out, disk.Tool{Name: "xz", Package: "xz-utils"})
	}
	if slices.Contains(files, ".tar.zst") {
		out = append(out, disk.Tool{Name: "zstd", Package: "zstd"})
	}
	if r.Format.Disk() {
		for _, t := range disk.Tools(root) {
			if !slices.Contains(out, t) {
				out = append(out, t)
			}
		}
	}
	return out
}

// there tells whether a program, or the file of an absolute path, is on this host.
func there(name string) bool {
	if path.IsAbs(name) {
		_, err := os.Stat(name)
		return err == nil
	}
	_, err := exec.LookPath(name)
	return err == nil
}
