package build

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
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
func checkTools(root bool, s Sources) error {
	type tool struct{ name, pkg string }
	tools := []tool{{"mmdebstrap", "mmdebstrap"}, {"apt-get", "apt"}, {"apt-config", "apt"}, {"dpkg", "dpkg"}, {"tar", "tar"}, {"gpgv", "gpgv"}}
	if !root {
		tools = append(tools, tool{"unshare", "util-linux"}, tool{"newuidmap", "uidmap"}, tool{"newgidmap", "uidmap"})
	}
	var missing, packages []string
	lack := func(name, pkg string) {
		missing = append(missing, fmt.Sprintf("%s (package %s)", name, pkg))
		if !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
	}
	for _, t := range tools {
		if _, err := exec.LookPath(t.name); err != nil {
			lack(t.name, t.pkg)
		}
	}
	if slices.ContainsFunc(s, func(x Source) bool { return x.SignedBy == debianKeyring }) {
		if _, err := os.Stat(debianKeyring); err != nil {
			lack(path.Base(debianKeyring), "debian-archive-keyring")
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("this host lacks %s; run: apt-get install %s", strings.Join(missing, ", "), strings.Join(packages, " "))
}
