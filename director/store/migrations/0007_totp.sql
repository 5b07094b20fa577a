-- The second factor of a user: totp_sealed is its secret, NULL where there is none. It counts since totp_since, NULL until
-- the first code has come; totp_step is the time step of the last code that was accepted. deleting is when the account was
-- marked to go with its applications.
ALTER TABLE users ADD COLUMN totp_sealed BLOB;
ALTER TABLE users ADD COLUMN totp_since DATETIME;
ALTER TABLE users ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN deleting DATETIME;

CREATE TABLE recovery_codes (
	hash    TEXT PRIMARY KEY,
	user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE
);
CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

-- Certificates get a number by which lists are paged. user_id is the user of a user's certificate, 0 for others: it outlives
-- the account. signer is the subject key id of the authority, '' where it was not recorded.
CREATE TABLE new_certificates (
	id        INTEGER PRIMARY KEY AUTOINCREMENT,
	serial    TEXT NOT NULL UNIQUE,
	identity  TEXT NOT NULL,
	role      TEXT NOT NULL,
	user_id   INTEGER NOT NULL,
	signer    TEXT NOT NULL,
	name      TEXT NOT NULL,
	created   DATETIME NOT NULL,
	not_after DATETIME NOT NULL,
	used      DATETIME,
	revoked   DATETIME,
	reason    TEXT NOT NULL
);
INSERT INTO new_certificates (serial, identity, role, user_id, signer, name, created, not_after, revoked, reason)
	SELECT serial, identity,
		CASE WHEN identity LIKE '%/manager/%' THEN 'manager' WHEN identity LIKE '%/agent/%' THEN 'agent' ELSE '' END,
		0, '', '', created, not_after, revoked, reason
	FROM certificates ORDER BY created, serial;
DROP TABLE certificates;
ALTER TABLE new_certificates RENAME TO certificates;
CREATE INDEX certificates_identity ON certificates (identity);
CREATE INDEX certificates_user ON certificates (user_id);
