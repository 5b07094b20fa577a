-- A share lets another user than the owner use an application; level is view or operate.
CREATE TABLE shares (
	application_id INTEGER NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
	user_id        INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	level          TEXT NOT NULL,
	created        DATETIME NOT NULL,
	PRIMARY KEY (application_id, user_id)
);
CREATE INDEX shares_user ON shares (user_id, application_id);

-- Who did or tried what. Entries outlive what they tell of, so nothing is a foreign key. previous is the hash of the entry before;
-- pruned is the last id that a checkpoint lets go, 0 in all other entries, and pruned_hash the hash of that entry.
CREATE TABLE audit (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	time           DATETIME NOT NULL,
	user_id        INTEGER NOT NULL,
	who            TEXT NOT NULL,
	credential     TEXT NOT NULL,
	address        TEXT NOT NULL,
	agent          TEXT NOT NULL,
	request        TEXT NOT NULL,
	action         TEXT NOT NULL,
	application_id INTEGER NOT NULL,
	owner_id       INTEGER NOT NULL,
	object         TEXT NOT NULL,
	changes        TEXT,
	outcome        TEXT NOT NULL,
	detail         TEXT NOT NULL,
	count          INTEGER NOT NULL,
	pruned         INTEGER NOT NULL,
	pruned_hash    TEXT NOT NULL,
	previous       TEXT NOT NULL,
	hash           TEXT NOT NULL
);
CREATE INDEX audit_who ON audit (who, id);
CREATE INDEX audit_user ON audit (user_id, id);
CREATE INDEX audit_owner ON audit (owner_id, id);
CREATE INDEX audit_application ON audit (application_id, id);
CREATE INDEX audit_action ON audit (action, id);
CREATE INDEX audit_address ON audit (address, id);
CREATE INDEX audit_pruned ON audit (pruned) WHERE pruned > 0;
-- REPLACE removes without asking the triggers on DELETE.
CREATE TRIGGER audit_no_replacement BEFORE INSERT ON audit
WHEN NEW.id <= (SELECT coalesce(max(id), 0) FROM audit)
BEGIN
	SELECT RAISE (ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_no_change BEFORE UPDATE ON audit
BEGIN
	SELECT RAISE (ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_no_removal BEFORE DELETE ON audit
WHEN OLD.id > (SELECT coalesce(max(pruned), 0) FROM audit WHERE pruned > 0)
BEGIN
	SELECT RAISE (ABORT, 'the audit log is append-only');
END;
