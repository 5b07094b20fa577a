package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// CheckCommand is the name of the agent's command that is the check program.
const CheckCommand = "mysql-check"

// Bounds of the check program.
const (
	checkAge  = 100 * time.Millisecond // an answer of the server is good for so long, however many ask
	checkTime = 1500 * time.Millisecond
)

// ServeCheck answers 200 on a TCP address while programs may be sent to the server behind a socket, else 503 with the reason,
// until ctx ends. It asks the server anew for each answer.
func ServeCheck(ctx context.Context, listen netip.AddrPort, socket string) (err error) {
	db, err := open(socket, serverUser)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen.String())
	if err != nil {
		return fmt.Errorf("listen for the checks of the database: %w", err)
	}
	server := &http.Server{Handler: &check{db: db}, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, MaxHeaderBytes: 4 << 10}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("answer the checks of the database: %w", err)
	}
	return nil
}

// check answers for one server. Those who ask at once share an answer.
type check struct {
	db *sql.DB

	mu  sync.Mutex
	at  time.Time
	now standing
	err error
}

func (c *check) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now, err := c.ask(r.Context())
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case !now.usable():
		http.Error(w, now.state, http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, now.state)
	}
}

func (c *check) ask(ctx context.Context) (standing, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) < checkAge {
		return c.now, c.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTime)
	defer cancel()
	c.now, c.err = askStanding(ctx, c.db)
	c.at = time.Now()
	return c.now, c.err
}
