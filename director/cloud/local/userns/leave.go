package userns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"conpaas/director/cloud/local/task"
)

// Leave ends the holder of the namespace that this program is in, so that the namespaces end with the program, and
// gives a line for each thing that it has removed. While other processes are inside it leaves the holder alone and
// names them.
func Leave(ctx context.Context) ([]string, error) {
	p, inside := Inside()
	if !inside {
		return nil, nil
	}
	others, err := p.others()
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		return []string{"kept the user namespace, which has processes " + strings.Join(others, " ")}, nil
	}
	var report []string
	if p.Holder.Alive() {
		if err := errors.Join(p.Holder.Kill(), p.Holder.Wait(ctx)); err != nil {
			return nil, fmt.Errorf("end the holder of the user namespace: %w", err)
		}
		report = append(report, fmt.Sprintf("ended process %d, which held the user namespace", p.Holder.PID))
	}
	if err := os.Remove(p.File); err == nil {
		report = append(report, "removed "+p.File)
	} else if !errors.Is(err, os.ErrNotExist) {
		return report, fmt.Errorf("leave the user namespace: %w", err)
	}
	return report, nil
}

// others gives the pids of the processes inside but the holder and this program.
func (p Place) others() ([]string, error) {
	links, err := filepath.Glob("/proc/[0-9]*/ns/user")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, link := range links {
		pid, err := strconv.Atoi(strings.Split(link, "/")[2])
		if err != nil || pid == os.Getpid() || pid == p.Holder.PID {
			continue
		}
		if user, err := os.Readlink(link); err != nil || user != p.User {
			continue // it has ended, or is somebody else's
		}
		if s, err := task.Read(pid); err == nil && s.State != 'Z' && s.State != 'X' {
			found = append(found, strconv.Itoa(pid))
		}
	}
	return found, nil
}
