package mysql

import (
	"strings"
	"testing"
	"time"

	"conpaas/client/api"
)

// Programs come to the first server that can be used, and to the next one when it leaves. Their user
// can do what programs do, and nothing to the server and its accounts.
func TestProxy(t *testing.T) {
	l := newLab(t)
	one := l.machine()
	one.apply(one.config(func(c *api.MySQLConfig) { c.Start = false }))
	one.begin(1)
	two := l.machine()
	two.join()
	one.apply(one.config(nil)) // it is to find the other when it comes back
	glb := l.machine()
	glb.apply(glb.proxy(glb)) // there is none
	glb.await(api.RoleGLB, "it waits for a database", func(s api.RoleStatus, _ api.MySQLFacts) bool {
		if s.State == api.RoleReady {
			t.Fatal("it is ready without a database")
		}
		return s.Reason == errNoServer.Error()
	})
	glb.apply(glb.proxy(one, two))
	glb.await(api.RoleGLB, "it is ready", ready)
	db := glb.program(3306)
	node := func() (name string) {
		for deadline := time.Now().Add(30 * time.Second); ; {
			err := db.QueryRowContext(t.Context(), "SELECT @@wsrep_node_name").Scan(&name)
			if err == nil {
				return name
			}
			if time.Now().After(deadline) {
				t.Fatalf("nobody answers: %v", err)
			}
		}
	}
	if got := node(); got != "n1" {
		t.Errorf("%s answers", got)
	}
	glb.exec(db, "CREATE DATABASE shop", "CREATE TABLE shop.t (n INT PRIMARY KEY)", "CREATE PROCEDURE shop.p() SELECT 1", "INSERT INTO shop.t VALUES (1)")
	for _, forbidden := range []string{
		"SELECT * FROM mysql.global_priv", "CREATE TABLE mysql.x (n INT)", "DROP DATABASE mysql", "DELETE FROM mysql.db", "CREATE USER x", "SET GLOBAL wsrep_on = OFF",
		"GRANT ALL ON *.* TO mysqldb", "SELECT 1 INTO OUTFILE '/tmp/x'", "SHUTDOWN", "CREATE TABLE shop.m (n INT) ENGINE=MyISAM",
	} {
		if _, err := db.ExecContext(t.Context(), forbidden); err == nil {
			t.Errorf("programs may %s", forbidden)
		}
	}
	// It leaves: of two, the one that is left when the other is killed takes no changes.
	if err := one.host.Service().Stop(t.Context(), mysqld); err != nil {
		t.Fatal(err)
	}
	if got := node(); got != "n2" {
		t.Errorf("after the first has left %s answers", got)
	}
	if text, err := glb.host.Logs().Tail("haproxy", 100); err != nil || strings.Contains(string(text), password) {
		t.Errorf("the proxy's log, %v:\n%s", err, text)
	}
	one.join()
	one.hides(password)
	glb.apply()
	glb.await(api.RoleGLB, "it is drained", func(s api.RoleStatus, _ api.MySQLFacts) bool { return s.State == api.RoleDrained })
}
