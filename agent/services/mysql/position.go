package mysql

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
	"conpaas/client/api"
)

// stateFile is what Galera keeps of a node's position in its data directory.
const stateFile = "grastate.dat"

// transferMarks are in the data directory while it receives all the data of another node.
var transferMarks = [...]string{".sst", "sst_in_progress"}

var positionText = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:(-1|[0-9]{1,18})$`)

// position is the last change that a data directory has, or api.MySQLNoData.
type position string

func parsePosition(text string) (position, error) {
	if !positionText.MatchString(text) {
		return "", fmt.Errorf("%.80q is no position of a database", text)
	}
	if strings.HasPrefix(text, noHistory) {
		return api.MySQLNoData, nil
	}
	return position(text), nil
}

const noHistory = "00000000-0000-0000-0000-000000000000"

// readPosition tells what a data directory has. conclusive is false after a server that was killed: Galera writes its
// number only when it ends, and the storage engine has to be asked.
func readPosition(data string) (p position, conclusive bool, err error) {
	for _, mark := range transferMarks {
		if _, err := os.Lstat(filepath.Join(data, mark)); err == nil {
			return api.MySQLNoData, true, nil // it was to receive all the data of another one, and has only a part
		}
	}
	text, err := os.ReadFile(filepath.Join(data, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return api.MySQLNoData, true, nil // it has never been in a cluster
	}
	if err == nil && len(bytes.TrimSpace(text)) == 0 {
		return "", false, nil // it was killed while it wrote that
	}
	if err != nil {
		return "", false, fmt.Errorf("read the position of the database: %w", err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	p, err = parsePosition(fields["uuid"] + ":" + fields["seqno"])
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", stateFile, err)
	}
	return p, p == api.MySQLNoData || fields["seqno"] != "-1", nil
}

// recoverPosition asks the storage engine of a server that does not run.
func recoverPosition(ctx context.Context, program, config string, user host.User) (position, error) {
	ctx, cancel := context.WithTimeout(ctx, recoverTime)
	defer cancel()
	var last string
	found := regexp.MustCompile(`WSREP: Recovered position: (\S+)`)
	lines, out := io.Pipe()
	done := make(chan struct{})
	go func() { // the log may be long, and is of no use
		defer close(done)
		scan := bufio.NewScanner(lines)
		for scan.Scan() {
			if m := found.FindSubmatch(scan.Bytes()); m != nil {
				last = string(m[1])
			}
		}
		_, _ = io.Copy(io.Discard, lines)
	}()
	output, exit, err := host.Run(ctx, "/", host.Command{Path: program, User: user, Args: []string{"--defaults-file=" + config, "--wsrep-recover", "--log-error-verbosity=3"}, Out: out})
	out.Close()
	<-done
	for line := range bytes.Lines(output) {
		if m := found.FindSubmatch(line); m != nil {
			last = string(m[1])
		}
	}
	if err == nil && (exit != 0 || last == "") {
		err = fmt.Errorf("%s ends with status %d and names no position: %s", filepath.Base(program), exit, conf.Words(output))
	}
	if err != nil {
		return "", fmt.Errorf("recover the position of the database: %w", err)
	}
	return parsePosition(last)
}

// allowBootstrap tells Galera that this node may begin the cluster: the manager half knows that none is ahead of it.
func allowBootstrap(data string) error {
	path := filepath.Join(data, stateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.ReplaceAll(text, []byte("safe_to_bootstrap: 0"), []byte("safe_to_bootstrap: 1")), 0o600)
}
