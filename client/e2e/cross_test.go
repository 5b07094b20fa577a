package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// People have other systems than the director: cps is built for theirs, without a C compiler. It is not linked.
func TestCPSBuildsForMacOSAndWindows(t *testing.T) {
	for _, system := range []string{"darwin/arm64", "darwin/amd64", "windows/amd64"} {
		goos, goarch, _ := strings.Cut(system, "/")
		build := exec.CommandContext(t.Context(), "go", "build", "-o", os.DevNull, "./client")
		build.Dir = top
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+goarch)
		if output, err := build.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", system, err, output)
		}
	}
}
