package mysql

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/agent/services/conf"
	"conpaas/client/api"
)

//go:embed templates
var files embed.FS

const (
	serverConf     = "my.cnf"
	beginConf      = "begin.cnf"     // the same of a server that begins the cluster
	transferScript = "transfer.bash" // is read by the programs of a state transfer
	proxyConf      = "haproxy.cfg"
	dataDir        = "data"       // of the server, on the volume
	newDataDir     = "data.new"   // while it is made
	bootstrapsFile = "bootstraps" // on the volume: the newest bootstrap that was begun
	galera         = "/usr/lib/galera/libgalera_smm.so"
)

// serverValues fill my.cnf.
type serverValues struct {
	Data, Run, Temp, Files, SlowLog, Provider string
	Cluster, Node                             string
	Address                                   netip.Addr
	Port                                      uint16
	Members                                   []netip.Addr
	BufferPool, Connections, Packet, Long     int64
	Slow                                      string
	Weight                                    int // what it counts in the cluster when it is started
}

func (s *Half) applyServer(ctx context.Context, h *host.Host, p paths, n service.Node, want api.MySQLConfig) error {
	program, err := h.Look("mariadbd")
	if err != nil {
		return fmt.Errorf("%w; the image needs the package mariadb-server", err)
	}
	if _, err := service.VolumePath(n, volumeName); err != nil {
		return err
	}
	for _, dir := range []string{dataDir, "temp", "files"} {
		if err := h.State().Mkdir(p.volume+"/"+dir, 0o700, p.user); err != nil {
			return err
		}
	}
	// A server that runs takes over what can be changed by Status, and the rest when it is next started.
	for name, weight := range map[string]int{serverConf: 0, beginConf: 1} {
		text, err := renderServer(h, p, n, want, weight)
		if err != nil {
			return err
		}
		if err := conf.Install(h, conf.File{Name: configDir + "/" + name, Text: text, Mode: 0o644}); err != nil {
			return err
		}
	}
	text, err := files.ReadFile("templates/" + transferScript)
	if err != nil {
		return err
	}
	if err := conf.Install(h, conf.File{Name: configDir + "/" + transferScript, Text: text, Mode: 0o644}); err != nil {
		return err
	}
	if err := h.Logs().Make(slowLog, p.user); err != nil {
		return err
	}
	err = h.Service().Ensure(ctx, host.Program{
		Name: checker, Path: h.Self(), User: p.user, Keep: true,
		Args: []string{CheckCommand, "--listen", want.Check.String(), "--socket", filepath.Join(p.run, socketFile)},
	})
	if err != nil {
		return err
	}
	if err := s.bootstrap(ctx, h, p, want); err != nil {
		return err
	}
	if want.Halt {
		if err := s.halt(ctx, h, p); err != nil {
			return err
		}
	}
	if !want.Start {
		return s.lookAtData(ctx, h, p, program)
	}
	return h.Service().Ensure(ctx, host.Program{
		Name: mysqld, Path: h.Self(), User: p.user, Grace: stopTime, Stop: syscall.SIGTERM, Keep: true,
		Args: []string{
			LaunchCommand, "--program", program, "--config", filepath.Join(p.config, serverConf), "--data", h.State().Path(p.volume + "/" + dataDir), "--run", p.run,
			"--address", want.Listen.Addr().String(), "--members", addresses(want.Members), "--reserve", h.State().Path(p.volume + "/" + reserveFile),
		},
	})
}

func addresses(members []netip.Addr) string {
	texts := make([]string, len(members))
	for i, a := range members {
		texts[i] = a.String()
	}
	return strings.Join(texts, ",")
}

// bootstrap begins the cluster here when it is asked for by a number that is new. The number is on disk before anything is done,
// so that it is done at most once. A server that is in a working cluster meanwhile only takes note.
func (s *Half) bootstrap(ctx context.Context, h *host.Host, p paths, want api.MySQLConfig) error {
	done, err := bootstraps(h, p)
	if err != nil || want.Bootstrap <= done {
		return err
	}
	begin := func() error {
		_, err := h.State().Write(p.volume+"/"+bootstrapsFile, []byte(strconv.FormatUint(want.Bootstrap, 10)), 0o600)
		return err
	}
	now, err := askServer(ctx, p)
	if err == nil {
		if err := begin(); err != nil || now.primary || now.position() != want.From {
			return err
		}
		return promote(ctx, p)
	}
	if known, err := s.positionOf(h, p); err != nil || string(known) != want.From {
		return errors.Join(err, begin()) // the manager half hears of what is here now, and decides again
	}
	if err := s.stopServer(ctx, h, p); err != nil {
		return err
	}
	if want.From == api.MySQLNoData {
		if err := makeData(ctx, h, p); err != nil {
			return err
		}
	}
	if err := begin(); err != nil {
		return err
	}
	if _, err := h.Run().Write(runDir+"/"+tokenFile, []byte(want.From), 0o644); err != nil {
		return err
	}
	return nil
}

// halt ends a server that does not know the cluster that is to be begun.
func (s *Half) halt(ctx context.Context, h *host.Host, p paths) error {
	if now, err := askServer(ctx, p); err == nil && now.primary {
		return nil
	}
	return s.stopServer(ctx, h, p)
}

// stopServer ends the server. One that waits for the cluster does not hear that it is to end, and has nothing to write.
func (s *Half) stopServer(ctx context.Context, h *host.Host, p paths) error {
	if known, err := s.positionOf(h, p); err == nil && known != "" {
		_ = h.Service().Signal(mysqld, syscall.SIGKILL) // of one that has just ended
	}
	return h.Service().Stop(ctx, mysqld)
}

// lookAtData finds out what the data has of a server that was killed and is not to run yet, after a loss of power for example.
func (s *Half) lookAtData(ctx context.Context, h *host.Host, p paths, program string) error {
	if known, err := s.positionOf(h, p); err != nil || known != "" {
		return err
	}
	if state, asked := h.Service().State(mysqld); asked && state.PID != 0 {
		return nil // it runs, and knows best
	}
	if err := giveReserve(h.State().Path(p.volume + "/" + reserveFile)); err != nil {
		return err
	}
	found, err := recoverPosition(ctx, program, filepath.Join(p.config, serverConf), p.user)
	if err != nil {
		return err
	}
	if err := h.Run().Remove(runDir + "/" + pidFile); err != nil {
		return err
	}
	_, err = h.Run().Write(runDir+"/"+launchedFile, []byte(launched{0, false, found, "-"}.text()), 0o600)
	return err
}

// positionOf tells what the data of a server has that does not answer; "" while that is not known.
func (s *Half) positionOf(h *host.Host, p paths) (position, error) {
	state, _ := h.Service().State(mysqld)
	if _, err := h.Run().Size(runDir + "/" + pidFile); !errors.Is(err, fs.ErrNotExist) {
		return "", err // it serves, or was killed while it did
	}
	if state.PID == 0 {
		if found, conclusive, err := readPosition(h.State().Path(p.volume + "/" + dataDir)); err != nil || conclusive {
			return found, err
		}
	}
	if note, ok := readLaunched(h); ok && note.pid == state.PID || ok && state.PID == 0 {
		return note.from, nil
	}
	return "", nil
}

func readLaunched(h *host.Host) (launched, bool) {
	text, err := h.Run().Read(runDir+"/"+launchedFile, 64<<10)
	if err != nil {
		return launched{}, false
	}
	return parseLaunched(text)
}

func bootstraps(h *host.Host, p paths) (uint64, error) {
	text, err := h.State().Read(p.volume+"/"+bootstrapsFile, 64)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("number of the last bootstrap: %w", err)
	}
	return n, nil
}

// makeData makes an empty database for a server that begins the cluster and has none: any other gets all of its data from one that has them, which
// throws away what is there. It is made beside its place, so that one that is there is whole.
func makeData(ctx context.Context, h *host.Host, p paths) error {
	at, beside := p.volume+"/"+dataDir, p.volume+"/"+newDataDir
	for _, content := range []string{"mysql", "ibdata1", transferMarks[0]} { // of a database, or of what has come of one
		if _, err := os.Lstat(h.State().Path(at + "/" + content)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	path, err := h.Look("mariadb-install-db")
	if err != nil {
		return fmt.Errorf("%w; the image needs the package mariadb-server-core", err)
	}
	if err := h.State().Remove(beside); err != nil {
		return err
	}
	if err := h.State().Mkdir(beside, 0o700, p.user); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, installTime)
	defer cancel()
	// The user of the server comes in by its socket as root does: a state transfer logs in as it.
	output, exit, err := h.Command(ctx, host.Command{Path: path, User: p.user, Args: []string{
		"--no-defaults", "--datadir=" + h.State().Path(beside), "--tmpdir=" + h.State().Path(p.volume+"/temp"), "--auth-root-authentication-method=socket", "--auth-root-socket-user=" + serverUser,
		"--skip-test-db", "--skip-name-resolve",
	}})
	if err == nil && exit != 0 {
		err = fmt.Errorf("mariadb-install-db ends with status %d: %s", exit, conf.Words(output))
	}
	if err == nil {
		err = h.State().Flush(beside)
	}
	if err == nil {
		err = h.State().Remove(at) // a server that waited for data may have left files of its own
	}
	if err != nil {
		return fmt.Errorf("make an empty database: %w", err)
	}
	return h.State().Rename(beside, at)
}

func renderServer(h *host.Host, p paths, n service.Node, want api.MySQLConfig, weight int) ([]byte, error) {
	set, err := readSettings(want.Settings)
	if err != nil {
		return nil, err
	}
	slow := map[bool]string{true: "ON", false: "OFF"}[set.slow]
	below := func(dir string) string { return h.State().Path(p.volume + "/" + dir) }
	return render(serverConf, serverValues{
		Data: below(dataDir), Run: p.run, Temp: below("temp"), Files: below("files"), SlowLog: h.Logs().Path(slowLog), Provider: galera,
		Cluster: want.Cluster, Node: string(n.ID), Address: want.Listen.Addr(), Port: want.Listen.Port(), Members: want.Members,
		BufferPool: set.bufferPool, Connections: set.connections, Packet: set.packet, Long: set.long, Slow: slow, Weight: weight,
	})
}

// render fills a template. Its values were let through by decode or made here.
func render(name string, values any) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFS(files, "templates/"+name)
	if err != nil {
		return nil, fmt.Errorf("read the template of %s: %w", name, err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	return text.Bytes(), nil
}
