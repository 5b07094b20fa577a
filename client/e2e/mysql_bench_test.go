package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"conpaas/client/api"
)

const (
	queriesName = "mysqlqueries"
	querying    = 4 * time.Second
	askers      = 4
)

// mysqlQueries ADDRESS: asks for one row on a few connections for a while, and says how many answers came per second.
func mysqlQueries() {
	c := driver.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName, c.Timeout = "tcp", os.Args[1], clerk, clerkPassword, "shop", time.Second
	connector, err := driver.NewConnector(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(askers)
	ctx, cancel := context.WithTimeout(context.Background(), querying)
	defer cancel()
	var answers atomic.Int64
	var group sync.WaitGroup
	for range askers {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; {
				if err := db.QueryRowContext(ctx, "SELECT n FROM w WHERE n = 0").Scan(&n); err == nil {
					answers.Add(1)
				} else if ctx.Err() == nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
			}
		})
	}
	group.Wait()
	fmt.Println(float64(answers.Load()) / querying.Seconds())
}

// BenchmarkMySQL is how long a database service takes to begin, to grow, and to get over the loss of the machine that takes all
// writes, and what its load balancer costs beside HAProxy with nothing but the one server.
func BenchmarkMySQL(b *testing.B) {
	w := benchWorld(b, "container")
	w.cps("application", "create", "shop")
	w.cps("application", "start", "shop")
	w.cps("service", "add", "mysql", "shop")
	report := func(name string, args ...string) {
		begun := time.Now()
		w.cps(args...)
		b.ReportMetric(time.Since(begun).Seconds(), name)
	}
	report("mysql_start_s", "service", "start", "shop", "mysql")
	report("mysql_join_s", "service", "add-nodes", "shop", "mysql", "--mysql", "1")
	w.cps("service", "add-nodes", "shop", "mysql", "--mysql", "1", "--glb", "1")
	first, second, glb := w.of(api.RoleMySQL)[0], w.of(api.RoleMySQL)[1], w.of(api.RoleGLB)[0]
	w.sql(first.ID, "CREATE DATABASE shop; CREATE TABLE shop.w (n INT PRIMARY KEY); INSERT INTO shop.w VALUES (0); CREATE USER "+clerk+" IDENTIFIED BY '"+clerkPassword+"'; GRANT ALL ON shop.* TO "+clerk)
	w.measureBalancer(b, second, glb, first)

	l := w.startWriter(b, w.machine(glb.ID), glb.Overlay.String())
	w.eventually(30*time.Second, "it writes", func() error { return atLeast(l.count(), 50) })
	l.takePause()
	lost := time.Now()
	w.machine(first.ID).destroy()
	w.eventually(time.Minute, "the loss is noticed", func() error { return w.noticed(first.ID) })
	b.ReportMetric(time.Since(lost).Seconds(), "mysql_detected_s")
	w.eventually(3*time.Minute, "another server has the data", func() error { return errors.Join(w.replaced(first.ID, 4), w.synced(3)) })
	b.ReportMetric(time.Since(lost).Seconds(), "mysql_replaced_s")
	before := l.count()
	w.eventually(30*time.Second, "it goes on writing", func() error { return atLeast(l.count(), before+50) })
	b.ReportMetric(l.takePause().Seconds(), "mysql_pause_s")
	l.stop(b)
	reportLoad(b)
}

// noticed tells whether the director knows that a node is lost.
func (w *world) noticed(id api.NodeID) error {
	nodes, err := w.tryNodes()
	for _, n := range nodes {
		if n.ID == id && n.State == api.NodeReady {
			return fmt.Errorf("it is %s", n.State)
		}
	}
	return err
}

// measureBalancer asks the same server through both, in turns.
func (w *world) measureBalancer(b *testing.B, from, glb, server api.Node) {
	b.Helper()
	w.write("bare.cfg", fmt.Sprintf("defaults\n mode tcp\n timeout connect 2s\n timeout client 1m\n timeout server 1m\nlisten bare\n bind %s:3399\n server one %s:3307\n", glb.Overlay, server.Overlay))
	bare := exec.Command("nsenter", "-t", strconv.Itoa(w.machine(glb.ID).Task.PID), "-n", "haproxy", "-db", "-f", w.path("bare.cfg"))
	bare.Stderr = os.Stderr
	if err := bare.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = bare.Process.Kill()
		_ = bare.Wait()
	}()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	program := filepath.Join(w.dir, queriesName)
	if err := os.Symlink(self, program); err != nil {
		b.Fatal(err)
	}
	rate := func(port int) float64 {
		out, err := exec.Command("nsenter", "-t", strconv.Itoa(w.machine(from.ID).Task.PID), "-n", program, fmt.Sprintf("%s:%d", glb.Overlay, port)).CombinedOutput()
		n, wrong := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil || wrong != nil {
			b.Fatalf("queries at port %d: %v: %s", port, err, out)
		}
		return n
	}
	rate(api.MySQLPort) // once for nothing
	var through, direct float64
	for range 3 {
		direct += rate(3399)
		through += rate(api.MySQLPort)
	}
	b.ReportMetric(through/3, "mysql_queries_per_s")
	b.ReportMetric(direct/3, "mysql_queries_per_s.baseline")
	b.ReportMetric(through/direct, "mysql_balancer_ratio")
}

// BenchmarkWordPress is the time from a manifest to the first page.
func BenchmarkWordPress(b *testing.B) {
	w := benchWorld(b, "container")
	w.wordPress(b)
	begun := time.Now()
	w.cps("application", "manifest", w.path("manifest.json"))
	page, err := newBlogger(b, w.endpointsOf("blog")[0]).get("/")
	if err != nil || !strings.Contains(page, "WordPress") {
		b.Fatalf("the first page: %v: %.300s", err, page)
	}
	b.ReportMetric(time.Since(begun).Seconds(), "wordpress_first_page_s")
	reportLoad(b)
}
