package mysql

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"conpaas/agent/host"
	"conpaas/agent/service"
	"conpaas/agent/services/conf"
	"conpaas/client/api"
)

// Perform implements service.Performer.
func (s *Half) Perform(ctx context.Context, h *host.Host, n service.Node, roles []api.RoleSpec, call service.ActionCall) error {
	if !slices.ContainsFunc(roles, func(r api.RoleSpec) bool { return r.Role == api.RoleMySQL }) {
		return api.Errorf(api.CodeConflict, "node %s has no database", n.ID)
	}
	switch {
	case call.Action == api.MySQLDump:
		return Dump(ctx, h, n, call.Out)
	case call.Action == api.MySQLLoadDump && call.Params[api.ParamNew] == api.SwitchOn:
		return loadNew(ctx, h, n, call.In)
	case call.Action == api.MySQLLoadDump:
		return LoadDump(ctx, h, n, call.In)
	}
	return api.Errorf(api.CodeNotFound, "a service of type %s has no action %.40q; it has %q and %q", api.MySQL, call.Action, api.MySQLDump, api.MySQLLoadDump)
}

// loading is the user that there is while a dump is loaded into an empty server. Nobody can log in by it; that it is there tells that
// the load has not come to its end, on every machine of the cluster.
const loading = "conpaas-loading"

// loadNew is LoadDump where there is no database yet, or only what an earlier one has left that was broken off.
func loadNew(ctx context.Context, h *host.Host, n service.Node, in io.Reader) error {
	p, err := newPaths(h)
	if err != nil {
		return err
	}
	names, err := databases(ctx, p)
	if err != nil {
		return err
	}
	err = withServer(ctx, p, func(ctx context.Context, db *sql.DB) error {
		var unfinished int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM mysql.global_priv WHERE User = ?", loading).Scan(&unfinished); err != nil {
			return err
		}
		if len(names) > 0 && unfinished == 0 {
			return &service.Skipped{Reason: fmt.Sprintf("there are databases already: %s", strings.Join(names, ", "))}
		}
		_, err := db.ExecContext(ctx, "CREATE USER IF NOT EXISTS `"+loading+"`@localhost ACCOUNT LOCK")
		return err
	})
	if err != nil {
		return fmt.Errorf("see whether there are databases: %w", err)
	}
	if err := LoadDump(ctx, h, n, in); err != nil {
		return err
	}
	return withServer(ctx, p, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, "DROP USER IF EXISTS `"+loading+"`@localhost")
		return err
	})
}

// systemDatabases are the server's own.
var systemDatabases = []string{"mysql", "information_schema", "performance_schema", "sys"}

// Dump writes all databases but the server's own as SQL, as they are at one moment.
func Dump(ctx context.Context, h *host.Host, _ service.Node, out io.Writer) error {
	p, err := newPaths(h)
	if err != nil {
		return err
	}
	path, err := h.Look("mariadb-dump")
	if err != nil {
		return fmt.Errorf("%w; the image needs the package mariadb-client", err)
	}
	names, err := databases(ctx, p)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		_, err := io.WriteString(out, "-- This service has no databases yet.\n")
		return err
	}
	args := append([]string{
		"--no-defaults", "--socket=" + filepath.Join(p.run, socketFile), "--user=root", "--single-transaction", "--quick", "--routines", "--events", "--triggers",
		"--skip-add-locks", "--skip-lock-tables", "--hex-blob", "--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--databases", "--",
	}, names...)
	words, exit, err := h.Command(ctx, host.Command{Path: path, Args: args, Out: out})
	if err == nil && exit != 0 {
		err = fmt.Errorf("mariadb-dump ends with status %d: %s", exit, conf.Words(words))
	}
	if err != nil {
		return fmt.Errorf("dump the databases: %w", err)
	}
	return nil
}

func databases(ctx context.Context, p paths) (names []string, err error) {
	err = withServer(ctx, p, func(ctx context.Context, db *sql.DB) error {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		rows, err := db.QueryContext(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME")
		if err != nil {
			return fmt.Errorf("list the databases: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return fmt.Errorf("list the databases: %w", err)
			}
			if !slices.Contains(systemDatabases, name) {
				names = append(names, name)
			}
		}
		return rows.Err()
	})
	return names, err
}

// loader is the user that loads dumps: it can do what programs can, and make things in the name of other users, which dumps
// do. It cannot touch the server's own databases, as the dumps of whole servers would.
const loader = "conpaas-load"

// LoadDump runs a dump as SQL, statement by statement, and stops at the first that fails; those before it stay done. What
// does not begin as SQL is refused before anything is changed (api.CodeInvalid). The client's own commands, which run programs
// and read files of the machine, are off.
func LoadDump(ctx context.Context, h *host.Host, _ service.Node, in io.Reader) (err error) {
	dump := bufio.NewReaderSize(in, sniffed)
	if err := looksLikeSQL(dump); err != nil {
		return err
	}
	p, err := newPaths(h)
	if err != nil {
		return err
	}
	path, err := h.Look("mariadb")
	if err != nil {
		return fmt.Errorf("%w; the image needs the package mariadb-client-core", err)
	}
	name, password := loader+"-"+strings.ToLower(rand.Text()[:8]), rand.Text()
	user := func(f func(context.Context, *sql.DB) error) error {
		return withServer(context.WithoutCancel(ctx), p, f)
	}
	err = user(func(ctx context.Context, db *sql.DB) error {
		if err := makeAccount(ctx, db, name, "localhost", nativeHash(password)); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, fmt.Sprintf("GRANT SET USER ON *.* TO `%s`@localhost", name))
		return err
	})
	if err != nil {
		return fmt.Errorf("make a user to load the dump: %w", err)
	}
	defer func() {
		err = errors.Join(err, user(func(ctx context.Context, db *sql.DB) error {
			_, err := db.ExecContext(ctx, fmt.Sprintf("DROP USER IF EXISTS `%s`@localhost", name))
			return err
		}))
	}()
	// The password is in a file for root alone: arguments and environments can be seen by others.
	secret := proxyDir + "/" + name
	if _, err := h.Run().WriteVolatile(secret, []byte("[client]\nuser="+name+"\npassword="+password+"\n"), 0o600); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Run().Remove(secret)) }()
	words, exit, err := h.Command(ctx, host.Command{Path: path, In: dump, Args: []string{
		"--defaults-file=" + h.Run().Path(secret), "--socket=" + filepath.Join(p.run, socketFile), "--batch", "--silent", "--skip-print-query-on-error", "--sandbox", "--binary-mode",
		"--default-character-set=utf8mb4", "--max-allowed-packet=1G",
	}})
	if exit != 0 {
		return api.Errorf(api.CodeInvalid, "the dump is loaded up to a statement that fails: %s", failure(words))
	}
	if err != nil {
		return fmt.Errorf("load the dump: %w", err)
	}
	return nil
}

const sniffed = 64 << 10 // bytes of a dump that are looked at before it is begun

var (
	sqlComment = regexp.MustCompile(`^(\s+|--[^\n]*(\n|$)|#[^\n]*(\n|$)|/\*[^!M](?s:.*?)\*/)`)
	sqlBegin   = regexp.MustCompile(`(?i)^(/\*M?!|(ALTER|BEGIN|CALL|COMMIT|CREATE|DELETE|DELIMITER|DO|DROP|EXECUTE|GRANT|INSERT|LOCK|PREPARE|RENAME|REPLACE|REVOKE|SELECT|SET|START|TRUNCATE|UNLOCK|UPDATE|USE|WITH)\b)`)
)

// looksLikeSQL refuses what is no SQL text by its beginning.
func looksLikeSQL(dump *bufio.Reader) error {
	refused := func(what string) error { return api.Errorf(api.CodeInvalid, "the dump is not SQL: %s", what) }
	head, err := dump.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the dump: %w", err)
	}
	switch {
	case len(head) == 0:
		return refused("it is empty")
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		return refused("it is compressed; send what gunzip makes of it")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("BZh")), bytes.HasPrefix(head, []byte("\xfd7zXZ")):
		return refused("it is compressed; unpack it first")
	case bytes.IndexByte(head, 0) >= 0:
		return refused("it has bytes that are no text")
	}
	text := bytes.TrimPrefix(head, []byte("\ufeff"))
	for {
		comment := sqlComment.Find(text)
		if len(comment) == 0 {
			break
		}
		text = text[len(comment):]
	}
	if len(text) > 0 && !sqlBegin.Match(text) {
		return refused(fmt.Sprintf("it begins with %.40q", text))
	}
	return nil // also comments alone: the dump of a service without databases
}

// failure gives the server's words with a remedy where there is a well-known one.
func failure(words []byte) string {
	text := conf.Words(words)
	switch {
	case strings.Contains(text, "ENFORCE_STORAGE_ENGINE"), strings.Contains(text, "NO_ENGINE_SUBSTITUTION"):
		text += "; only InnoDB tables are replicated: write ENGINE=InnoDB in the dump"
	case strings.Contains(text, "No database selected"):
		text += "; make the dump with --databases, or begin it with CREATE DATABASE and USE"
	case strings.Contains(text, "Access denied"), strings.Contains(text, "command denied"):
		text += "; leave out the server's own databases, and what needs rights on the whole server"
	}
	return text
}
