package host

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"conpaas/client/api"
)

const (
	hostsFile = "/etc/hosts"
	maxHosts  = 4 << 20

	// nameMark ends each line of /etc/hosts that is the agent's. All other lines are somebody else's and stay.
	nameMark = "# ConPaaS"
)

// ApplyNames makes the machine's hosts file have exactly these names beside what others have written into it. The
// caller has checked that each is a host name. It tells whether that changed anything.
func (h *Host) ApplyNames(names []api.HostName) (changed bool, err error) {
	path := filepath.Join("/", h.root, hostsFile)
	old, err := readHosts(path)
	if err != nil {
		return false, fmt.Errorf("names of services: %w", err)
	}
	next := hosts(old, names)
	if bytes.Equal(next, old) {
		return false, nil
	}
	if err := writeHosts(path, next); err != nil {
		return false, fmt.Errorf("names of services: %w", err)
	}
	return true, nil
}

func readHosts(path string) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHosts+1))
	if err == nil && len(text) > maxHosts {
		err = fmt.Errorf("%s has more than %d bytes; remove what nobody needs", path, maxHosts)
	}
	return text, err
}

// hosts gives the text of a hosts file with the agent's lines replaced; they are the last.
func hosts(old []byte, names []api.HostName) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(old) {
		if !bytes.HasSuffix(bytes.TrimSpace(line), []byte(nameMark)) {
			out.Write(line)
		}
	}
	if out.Len() > 0 && !bytes.HasSuffix(out.Bytes(), []byte{'\n'}) {
		out.WriteByte('\n')
	}
	for _, n := range names {
		for _, a := range n.Addresses {
			fmt.Fprintf(&out, "%s %s %s\n", a, strings.ToLower(n.Name), nameMark)
		}
	}
	return out.Bytes()
}

// writeHosts replaces the file in one step. Where it is a mount of its own, or a link, that cannot be: then it is
// rewritten, in one write.
func writeHosts(path string, text []byte) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() {
		err := replaceHosts(path, text, info.Mode().Perm())
		if !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.EXDEV) {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err == nil {
		err = f.Truncate(int64(len(text)))
	}
	return errors.Join(err, f.Close())
}

func replaceHosts(path string, text []byte, mode fs.FileMode) error {
	temporary := filepath.Join(filepath.Dir(path), ".hosts.conpaas")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(mode) // OpenFile's is cut by the umask
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}
