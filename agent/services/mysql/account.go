package mysql

import (
	"context"
	"crypto/sha1" //nolint:gosec // it is how the database keeps passwords
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"conpaas/client/api"
)

// programRights are what a program needs in databases of its own, of which it may make any. Rights on the server itself
// (SUPER, FILE, SHUTDOWN, PROCESS, replication, accounts) are not among them.
const programRights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER, DELETE HISTORY"

// nativeHash is how the database keeps a password (mysql_native_password).
func nativeHash(password string) string {
	first := sha1.Sum([]byte(password)) //nolint:gosec // see above
	second := sha1.Sum(first[:])        //nolint:gosec // see above
	return "*" + strings.ToUpper(hex.EncodeToString(second[:]))
}

// ensureAccount sees to it that programs can log in with the password. Statements hold its hash alone, and every machine of the
// cluster has what one of them does.
func ensureAccount(ctx context.Context, db *sql.DB, password string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var now string
	err := db.QueryRowContext(ctx, "SELECT COALESCE(JSON_VALUE(Priv, '$.authentication_string'), '') FROM mysql.global_priv WHERE User = ? AND Host = '%'", api.MySQLUser).Scan(&now)
	var rights int
	if err == nil {
		err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM mysql.db WHERE User = ? AND Host = '%' AND Db IN ('%', 'mysql')", api.MySQLUser).Scan(&rights)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("look at user %s: %w", api.MySQLUser, err)
	}
	hash := nativeHash(password)
	if now == hash && rights == 2 {
		return nil
	}
	if err := makeAccount(ctx, db, api.MySQLUser, "%", hash); err != nil {
		return fmt.Errorf("make user %s: %w", api.MySQLUser, err)
	}
	return nil
}

// makeAccount makes a user for databases, or gives it another password.
func makeAccount(ctx context.Context, db *sql.DB, name, from, hash string) error {
	for _, statement := range []string{
		"CREATE USER IF NOT EXISTS `%s`@`%s` IDENTIFIED VIA mysql_native_password USING '%s'",
		// The right on the accounts' own database comes first: of two that fit, the one that names a database counts.
		"GRANT SHOW VIEW ON `mysql`.* TO `%s`@`%s`",
		"GRANT " + programRights + " ON `%%`.* TO `%s`@`%s`",
		"ALTER USER `%s`@`%s` IDENTIFIED VIA mysql_native_password USING '%s'",
	} {
		values := []any{name, from, hash}
		if _, err := db.ExecContext(ctx, fmt.Sprintf(statement, values[:strings.Count(statement, "%s")]...)); err != nil {
			return err
		}
	}
	return nil
}

// ensureSettings gives a running server the settings that it can take over.
func ensureSettings(ctx context.Context, db *sql.DB, s settings) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	var slow int64
	if s.slow {
		slow = 1
	}
	for _, set := range []struct {
		name  string
		value int64
	}{
		{"innodb_buffer_pool_size", s.bufferPool},
		{"max_connections", s.connections},
		{"max_allowed_packet", s.packet},
		{"long_query_time", s.long},
		{"slow_query_log", slow},
	} {
		if _, err := db.ExecContext(ctx, fmt.Sprintf("SET GLOBAL %s = %d", set.name, set.value)); err != nil {
			return fmt.Errorf("change setting %s of the running server: %w", set.name, err)
		}
	}
	return nil
}
