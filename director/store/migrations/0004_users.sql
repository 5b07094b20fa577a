ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN first_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN last_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN affiliation TEXT NOT NULL DEFAULT '';

-- Tokens get a number by which people name them. name is that of a token made for a program, '' for a login's; used is the
-- last use, coarsely, NULL where there was none.
CREATE TABLE new_tokens (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	hash    TEXT NOT NULL UNIQUE,
	user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	name    TEXT NOT NULL,
	created DATETIME NOT NULL,
	expires DATETIME NOT NULL,
	used    DATETIME
);
INSERT INTO new_tokens (hash, user_id, name, created, expires) SELECT hash, user_id, '', created, expires FROM tokens ORDER BY created;
DROP TABLE tokens;
ALTER TABLE new_tokens RENAME TO tokens;
CREATE INDEX tokens_user ON tokens (user_id);
CREATE UNIQUE INDEX tokens_name ON tokens (user_id, name) WHERE name <> '';
