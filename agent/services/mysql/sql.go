package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"
)

// open gives the server of this machine, which knows by the socket whom it talks to.
func open(socket, user string) (*sql.DB, error) {
	c := driver.NewConfig()
	c.Net, c.Addr, c.User = "unix", socket, user
	c.Timeout, c.ReadTimeout, c.WriteTimeout = askTime, time.Minute, time.Minute
	c.InterpolateParams = true
	c.Logger = &driver.NopLogger{}
	connector, err := driver.NewConnector(c)
	if err != nil {
		return nil, fmt.Errorf("connect to the database server: %w", err)
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return db, nil
}

// withServer calls f with a connection as root.
func withServer(ctx context.Context, p paths, f func(context.Context, *sql.DB) error) error {
	db, err := open(filepath.Join(p.run, socketFile), "root")
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, db), db.Close())
}

// standing is how the server stands in the cluster.
type standing struct {
	state   string // wsrep_local_state_comment
	local   int    // wsrep_local_state
	primary bool
	ready   bool // it takes statements
	outside bool // it has left the cluster for good, since it could not apply a change that the others have applied
	size    int
	uuid    string // of the cluster
	own     string // UUID of the history that it has
	seqno   string
	queue   int
	queries uint64
}

func (s standing) position() string { return s.own + ":" + s.seqno }

// States of a node in Galera (wsrep_local_state).
const (
	donor  = 2 // it gives another one all the data, and serves meanwhile
	synced = 4
)

// usable tells whether programs may be sent to the server.
func (s standing) usable() bool {
	return s.primary && s.ready && (s.local == synced || s.local == donor)
}

// askStanding asks the server. These are statements that it also answers outside of the cluster.
func askStanding(ctx context.Context, db *sql.DB) (s standing, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	rows, err := db.QueryContext(ctx, `SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_local_state', 'wsrep_local_state_comment', 'wsrep_cluster_status', 'wsrep_ready', 'wsrep_connected',
		'wsrep_cluster_size', 'wsrep_cluster_state_uuid', 'wsrep_local_state_uuid', 'wsrep_last_committed', 'wsrep_local_recv_queue', 'Queries')`)
	if err != nil {
		return standing{}, fmt.Errorf("ask the database server: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return standing{}, fmt.Errorf("ask the database server: %w", err)
		}
		n, _ := strconv.Atoi(value) // of those that are numbers
		switch strings.ToLower(name) {
		case "wsrep_local_state":
			s.local = n
		case "wsrep_local_state_comment":
			s.state = value
		case "wsrep_cluster_status":
			s.primary = value == "Primary"
		case "wsrep_ready":
			s.ready = value == "ON"
		case "wsrep_connected":
			s.outside = value == "OFF"
		case "wsrep_cluster_size":
			s.size = n
		case "wsrep_cluster_state_uuid":
			s.uuid = value
		case "wsrep_local_state_uuid":
			s.own = value
		case "wsrep_last_committed":
			s.seqno = value
		case "wsrep_local_recv_queue":
			s.queue = n
		case "queries":
			s.queries = uint64(max(n, 0))
		}
	}
	if err := rows.Err(); err != nil {
		return standing{}, fmt.Errorf("ask the database server: %w", err)
	}
	return s, nil
}

func askServer(ctx context.Context, p paths) (s standing, err error) {
	err = withServer(ctx, p, func(ctx context.Context, db *sql.DB) (err error) {
		s, err = askStanding(ctx, db)
		return err
	})
	return s, err
}

// promote makes what is left of a cluster take changes again. One that has not had a say in it yet gets it.
func promote(ctx context.Context, p paths) error {
	return withServer(ctx, p, func(ctx context.Context, db *sql.DB) error {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		if _, err := db.ExecContext(ctx, "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=1'"); err != nil {
			return fmt.Errorf("begin the cluster with what is left of it: %w", err)
		}
		return ensureCounted(ctx, db)
	})
}

var counted = regexp.MustCompile(`\bpc\.weight = 1\b`)

// ensureCounted has the server count when the cluster finds out whether it sees most of itself. A server is started without that:
// one that dies while it receives the data must not stop the machine that gives it.
func ensureCounted(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var options string
	err := db.QueryRowContext(ctx, "SELECT @@wsrep_provider_options").Scan(&options)
	if err == nil && !counted.MatchString(options) {
		_, err = db.ExecContext(ctx, "SET GLOBAL wsrep_provider_options = 'pc.weight=1'")
	}
	if err != nil {
		return fmt.Errorf("have the server count in the cluster: %w", err)
	}
	return nil
}
