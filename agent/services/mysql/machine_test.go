package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"

	"conpaas/agent/host"
	"conpaas/agent/host/hosttest"
	"conpaas/agent/service"
	"conpaas/client/api"
)

// The test's program is the agent's program, too: it becomes the server, and the check program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == LaunchCommand || os.Args[1] == CheckCommand) {
		if err := beProgram(os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func beProgram(name string, args []string) error {
	var l Launch
	var listen, socket, address string
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	for into, option := range map[*string]string{&l.Program: "program", &l.Config: "config", &l.Data: "data", &l.Run: "run", &listen: "listen", &socket: "socket", &address: "address", &l.Reserve: "reserve", &l.Members: "members"} {
		f.StringVar(into, option, "", "")
	}
	if err := f.Parse(args); err != nil {
		return err
	}
	if name == LaunchCommand {
		l.Address = netip.MustParseAddr(address)
		return l.Begin(context.Background(), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}
	return ServeCheck(context.Background(), netip.MustParseAddrPort(listen), socket)
}

// machine is a half and its host, with files and an address of its own.
type machine struct {
	t     *testing.T
	lab   *lab
	node  service.Node
	root  string
	host  *host.Host
	half  *Half
	roles []api.RoleSpec
}

var networks atomic.Uint32

// lab is a set of machines that see each other on addresses of this process alone.
type lab struct {
	t        *testing.T
	dir      string
	self     string
	network  byte
	machines []*machine
}

const password = "Sesame, öffne dich'\"`"

func newLab(t *testing.T) *lab {
	t.Helper()
	t.Parallel()
	l := &lab{t: t, dir: hosttest.Root(t), network: byte(networks.Add(1))}
	l.self = filepath.Join(l.dir, "agent")
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(l.self, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *lab) machine() *machine {
	l.t.Helper()
	count := byte(len(l.machines) + 1)
	id := fmt.Sprintf("n%d", count)
	m := &machine{
		t: l.t, lab: l, root: filepath.Join(l.dir, id), half: New(),
		node: service.Node{ID: api.NodeID(id), Service: "db", Address: netip.AddrFrom4([4]byte{127, 96 + l.network, byte(os.Getpid()), count})},
	}
	path := filepath.Join(m.root, api.VolumeDir, volumeName)
	if err := os.MkdirAll(path, 0o755); err != nil {
		l.t.Fatal(err)
	}
	m.node.Volumes = []api.VolumeMount{{ID: "v1", Name: volumeName, Path: path}}
	m.open()
	l.machines = append(l.machines, m)
	l.t.Cleanup(func() {
		if l.t.Failed() {
			for _, name := range []string{mysqld, checker, "haproxy"} {
				text, _ := os.ReadFile(filepath.Join(m.root, "var/log/conpaas", name+".log"))
				l.t.Logf("%s: log of %s:\n%s", id, name, text[max(0, len(text)-4000):])
			}
		}
		hosttest.End(l.t, m.host)
	})
	return m
}

func (m *machine) open() {
	m.t.Helper()
	h, err := host.Open(host.Options{Root: m.root, Log: slog.New(slog.DiscardHandler), Self: m.lab.self})
	if err != nil {
		m.t.Fatal(err)
	}
	m.host = h
}

// restart is that of the agent.
func (m *machine) restart() {
	m.t.Helper()
	if err := m.host.Close(); err != nil {
		m.t.Fatal(err)
	}
	m.half = New()
	m.open()
}

func (m *machine) at(port uint16) netip.AddrPort { return netip.AddrPortFrom(m.node.Address, port) }

// config gives that of a server; change may change it.
func (m *machine) config(change func(*api.MySQLConfig)) api.RoleSpec {
	c := api.MySQLConfig{Cluster: "test", Listen: m.at(3307), Check: m.at(9200), Password: password, Start: true}
	for _, other := range m.lab.machines {
		c.Members = append(c.Members, other.node.Address)
	}
	if change != nil {
		change(&c)
	}
	return role(m.t, api.RoleMySQL, c)
}

func (m *machine) proxy(servers ...*machine) api.RoleSpec {
	c := api.MySQLProxyConfig{Listen: m.at(3306), Check: 9200}
	for _, s := range servers {
		c.Servers = append(c.Servers, api.Server{Node: s.node.ID, Address: s.at(3307)})
	}
	return role(m.t, api.RoleGLB, c)
}

func role(t *testing.T, r api.Role, config any) api.RoleSpec {
	t.Helper()
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return api.RoleSpec{Role: r, Config: data}
}

// apply gives the machine roles that it must take without an error.
func (m *machine) apply(roles ...api.RoleSpec) {
	m.t.Helper()
	m.roles = roles
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	if errs := m.half.Apply(ctx, m.host, m.node, roles); len(errs) > 0 {
		m.t.Fatalf("machine %s: %v", m.node.ID, errs)
	}
}

func (m *machine) status(r api.Role) (api.RoleStatus, api.MySQLFacts) {
	m.t.Helper()
	all := m.half.Status(m.t.Context(), m.host, m.node, m.roles)
	i := slices.IndexFunc(all, func(s api.RoleStatus) bool { return s.Role == r })
	if i < 0 || len(all) != 2 {
		m.t.Fatalf("machine %s: Status gives %+v", m.node.ID, all)
	}
	var facts api.MySQLFacts
	if len(all[i].Facts) > 0 {
		if err := json.Unmarshal(all[i].Facts, &facts); err != nil {
			m.t.Fatal(err)
		}
	}
	return all[i], facts
}

// await looks at a role until f takes what it sees.
func (m *machine) await(r api.Role, what string, f func(api.RoleStatus, api.MySQLFacts) bool) api.MySQLFacts {
	m.t.Helper()
	timer := time.NewTimer(90 * time.Second)
	defer timer.Stop()
	for {
		status, facts := m.status(r)
		if f(status, facts) {
			return facts
		}
		select {
		case <-timer.C:
			m.t.Fatalf("machine %s: this did not happen: %s; the last status: %+v %s", m.node.ID, what, status, status.Facts)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func ready(s api.RoleStatus, _ api.MySQLFacts) bool { return s.State == api.RoleReady }

// begin makes the machine begin a cluster for the n-th time, as the manager half would.
func (m *machine) begin(n uint64) api.MySQLFacts {
	m.t.Helper()
	facts := m.await(api.RoleMySQL, "it knows its position", func(_ api.RoleStatus, f api.MySQLFacts) bool { return f.Position != "" })
	m.apply(m.config(func(c *api.MySQLConfig) { c.Bootstrap, c.From = n, facts.Position }))
	return m.await(api.RoleMySQL, "it has begun a cluster", ready)
}

func (m *machine) join() api.MySQLFacts {
	m.t.Helper()
	m.apply(m.config(nil))
	return m.await(api.RoleMySQL, "it has joined", ready)
}

// kill kills the server.
func (m *machine) kill() {
	m.t.Helper()
	state, _ := m.host.Service().State(mysqld)
	if err := syscall.Kill(state.PID, syscall.SIGKILL); err != nil {
		m.t.Fatal(err)
	}
}

// program gives a connection as a program of the user has it.
func (m *machine) program(port uint16) *sql.DB {
	m.t.Helper()
	c := driver.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.Timeout, c.ReadTimeout = "tcp", m.at(port).String(), api.MySQLUser, password, 5*time.Second, 20*time.Second
	c.Logger = &driver.NopLogger{}
	connector, err := driver.NewConnector(c)
	if err != nil {
		m.t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	m.t.Cleanup(func() { db.Close() })
	return db
}

// root gives a connection as root has it.
func (m *machine) asRoot() *sql.DB {
	m.t.Helper()
	db, err := open(m.host.Run().Path(runDir+"/"+socketFile), "root")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { db.Close() })
	return db
}

func (m *machine) exec(db *sql.DB, statements ...string) {
	m.t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(m.t.Context(), s); err != nil {
			m.t.Fatalf("machine %s: %s: %v", m.node.ID, s, err)
		}
	}
}

// rows gives the numbers in shop.t that the server of this machine has, as it is asked itself.
func (m *machine) rows() string {
	m.t.Helper()
	db := m.program(3307)
	var all sql.NullString
	if err := db.QueryRowContext(m.t.Context(), "SELECT GROUP_CONCAT(n ORDER BY n) FROM shop.t").Scan(&all); err != nil {
		m.t.Fatalf("machine %s: %v", m.node.ID, err)
	}
	return all.String
}

func (m *machine) log() string {
	text, err := os.ReadFile(filepath.Join(m.root, "var/log/conpaas", mysqld+".log"))
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// hides checks that a text is nowhere on the machine but in the files that are allowed to have it.
func (m *machine) hides(text string) {
	m.t.Helper()
	if logged := m.log(); strings.Contains(logged, text) {
		m.t.Errorf("machine %s: the log has %q", m.node.ID, text)
	}
}
