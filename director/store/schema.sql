CREATE TABLE applications (
	id           INTEGER PRIMARY KEY AUTOINCREMENT,
	owner_id     INTEGER NOT NULL REFERENCES users (id),
	name         TEXT NOT NULL,
	cloud        TEXT NOT NULL,
	wanted       TEXT NOT NULL,
	state        TEXT NOT NULL,
	reason       TEXT NOT NULL,
	since        DATETIME NOT NULL,
	revision     INTEGER NOT NULL,
	settled      INTEGER NOT NULL,
	incarnation  INTEGER NOT NULL,
	prefix       TEXT NOT NULL,
	service_bits INTEGER NOT NULL,
	last_service INTEGER NOT NULL,
	created      DATETIME NOT NULL,
	UNIQUE (owner_id, name)
);

CREATE TRIGGER audit_no_change BEFORE UPDATE ON audit
BEGIN
	SELECT RAISE (ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_no_removal BEFORE DELETE ON audit
WHEN OLD.id > (SELECT coalesce(max(pruned), 0) FROM audit WHERE pruned > 0)
BEGIN
	SELECT RAISE (ABORT, 'the audit log is append-only');
END;

CREATE TRIGGER audit_no_replacement BEFORE INSERT ON audit
WHEN NEW.id <= (SELECT coalesce(max(id), 0) FROM audit)
BEGIN
	SELECT RAISE (ABORT, 'the audit log is append-only');
END;

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

CREATE INDEX audit_action ON audit (action, id);

CREATE INDEX audit_address ON audit (address, id);

CREATE INDEX audit_application ON audit (application_id, id);

CREATE INDEX audit_owner ON audit (owner_id, id);

CREATE INDEX audit_pruned ON audit (pruned) WHERE pruned > 0;

CREATE INDEX audit_user ON audit (user_id, id);

CREATE INDEX audit_who ON audit (who, id);

CREATE TABLE authorities (
	id          INTEGER PRIMARY KEY AUTOINCREMENT,
	kind        TEXT NOT NULL,
	certificate BLOB NOT NULL,
	sealed_key  BLOB NOT NULL,
	created     DATETIME NOT NULL,
	retired     DATETIME
, signs BOOLEAN NOT NULL DEFAULT TRUE);

CREATE TABLE "certificates" (
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

CREATE INDEX certificates_identity ON certificates (identity);

CREATE INDEX certificates_user ON certificates (user_id);

CREATE TABLE code_versions (
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	id             TEXT NOT NULL,
	description    TEXT NOT NULL,
	filename       TEXT NOT NULL,
	format         TEXT NOT NULL,
	size           INTEGER NOT NULL,
	sha256         TEXT NOT NULL,
	reason         TEXT NOT NULL,
	created        DATETIME NOT NULL,
	PRIMARY KEY (application_id, service_id, id),
	FOREIGN KEY (application_id, service_id) REFERENCES services (application_id, id) ON DELETE CASCADE
);

CREATE INDEX code_versions_blob ON code_versions (sha256) WHERE sha256 <> '';

CREATE TABLE credit_clock (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	elapsed INTEGER NOT NULL,
	wall    DATETIME NOT NULL,
	boot    TEXT NOT NULL,
	uptime  INTEGER NOT NULL
);

CREATE TRIGGER credit_entries_no_delete BEFORE DELETE ON credit_entries
BEGIN
	SELECT RAISE (ABORT, 'entries of the credit are append-only');
END;

CREATE TRIGGER credit_entries_no_update BEFORE UPDATE ON credit_entries
BEGIN
	SELECT RAISE (ABORT, 'entries of the credit are append-only');
END;

CREATE TABLE credit_entries (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	time           DATETIME NOT NULL,
	user_id        INTEGER NOT NULL,
	kind           TEXT NOT NULL,
	amount         INTEGER NOT NULL,
	balance        INTEGER NOT NULL,
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	node_seq       INTEGER,
	hour           INTEGER,
	by             TEXT NOT NULL,
	reason         TEXT NOT NULL
);

CREATE UNIQUE INDEX credit_entries_hour ON credit_entries (node_seq, hour) WHERE kind = 'hour';

CREATE UNIQUE INDEX credit_entries_refund ON credit_entries (node_seq) WHERE kind = 'refund';

CREATE INDEX credit_entries_user ON credit_entries (user_id, id);

CREATE TABLE credit_meters (
	node_seq       INTEGER PRIMARY KEY,
	user_id        INTEGER NOT NULL,
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	role           TEXT NOT NULL,
	start          INTEGER NOT NULL,
	hours          INTEGER NOT NULL,
	own            BOOLEAN NOT NULL,
	joined         BOOLEAN NOT NULL,
	vacant         BOOLEAN NOT NULL
);

CREATE INDEX credit_meters_user ON credit_meters (user_id);

CREATE TABLE credits (
	user_id INTEGER PRIMARY KEY REFERENCES users (id),
	balance INTEGER NOT NULL CHECK (balance >= 0),
	warned  BOOLEAN NOT NULL
);

CREATE TRIGGER events_append_only BEFORE UPDATE ON events
BEGIN
	SELECT RAISE (ABORT, 'events are append-only');
END;

CREATE TABLE events (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	time           DATETIME NOT NULL,
	owner_id       INTEGER NOT NULL,
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	node_seq       INTEGER NOT NULL,
	operation_seq  INTEGER NOT NULL,
	kind           TEXT NOT NULL,
	text           TEXT NOT NULL,
	alarm          BOOLEAN NOT NULL
);

CREATE INDEX events_application ON events (application_id, id);

CREATE TABLE images (
	cloud        TEXT NOT NULL,
	id           TEXT NOT NULL,
	name         TEXT NOT NULL,
	format       TEXT NOT NULL,
	architecture TEXT NOT NULL,
	size         INTEGER NOT NULL,
	sha256       TEXT NOT NULL,
	services     TEXT,
	version      TEXT NOT NULL,
	created      DATETIME NOT NULL,
	published_by TEXT NOT NULL,
	current      BOOLEAN NOT NULL,
	PRIMARY KEY (cloud, id)
);

CREATE UNIQUE INDEX images_current ON images (cloud) WHERE current;

CREATE TABLE installation (
	id            INTEGER PRIMARY KEY CHECK (id = 1),
	deployment_id TEXT NOT NULL,
	name          TEXT NOT NULL,
	fence         INTEGER NOT NULL,
	key_check     BLOB NOT NULL,
	created       DATETIME NOT NULL
);

CREATE TABLE `migrations` (`id` text,PRIMARY KEY (`id`));

CREATE TABLE nodes (
	seq             INTEGER PRIMARY KEY AUTOINCREMENT,
	application_id  INTEGER NOT NULL REFERENCES applications (id),
	service_id      INTEGER NOT NULL,
	role            TEXT NOT NULL,
	cloud           TEXT NOT NULL,
	state           TEXT NOT NULL,
	reason          TEXT NOT NULL,
	since           DATETIME NOT NULL,
	attempt         INTEGER NOT NULL,
	machine         TEXT NOT NULL,
	address         TEXT NOT NULL,
	public_address  TEXT NOT NULL,
	runtime         TEXT NOT NULL,
	published       TEXT,
	partition_index INTEGER NOT NULL,
	slot            INTEGER NOT NULL,
	overlay         TEXT NOT NULL,
	released        BOOLEAN NOT NULL,
	join_token_hash TEXT NOT NULL,
	csr_key         TEXT NOT NULL,
	boot_id         TEXT NOT NULL,
	overlay_key     TEXT NOT NULL,
	data_plane      TEXT NOT NULL,
	version         TEXT NOT NULL,
	code_version    TEXT NOT NULL,
	drained         BOOLEAN NOT NULL,
	created         DATETIME NOT NULL
, trust TEXT NOT NULL DEFAULT '');

CREATE INDEX nodes_alive ON nodes (cloud) WHERE state <> 'gone';

CREATE INDEX nodes_application ON nodes (application_id, seq);

CREATE UNIQUE INDEX nodes_machine ON nodes (cloud, machine) WHERE machine <> '' AND state <> 'gone';

CREATE UNIQUE INDEX nodes_manager ON nodes (application_id)
	WHERE service_id = 0 AND state NOT IN ('failed', 'deleting', 'gone');

CREATE UNIQUE INDEX nodes_overlay ON nodes (application_id, overlay)
	WHERE service_id <> 0 AND NOT (state = 'gone' AND released);

CREATE TABLE operations (
	seq            INTEGER PRIMARY KEY AUTOINCREMENT,
	kind           TEXT NOT NULL,
	owner_id       INTEGER NOT NULL,
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	state          TEXT NOT NULL,
	revision       INTEGER NOT NULL,
	params         TEXT NOT NULL,
	progress       TEXT NOT NULL,
	steps          TEXT,
	failure        TEXT,
	created        DATETIME NOT NULL,
	ended          DATETIME
);

CREATE INDEX operations_application ON operations (application_id, seq);

CREATE INDEX operations_open ON operations (application_id) WHERE state IN ('pending', 'running');

CREATE INDEX operations_owner ON operations (owner_id, seq);

CREATE TABLE recovery_codes (
	hash    TEXT PRIMARY KEY,
	user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE
);

CREATE INDEX recovery_codes_user ON recovery_codes (user_id);

CREATE TABLE secrets (
	name    TEXT PRIMARY KEY,
	sealed  BLOB NOT NULL,
	changed DATETIME NOT NULL
);

CREATE TABLE service_links (
	id             INTEGER PRIMARY KEY AUTOINCREMENT,
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	target_id      INTEGER NOT NULL,
	FOREIGN KEY (application_id, service_id) REFERENCES services (application_id, id) ON DELETE CASCADE,
	FOREIGN KEY (application_id, target_id) REFERENCES services (application_id, id) ON DELETE CASCADE
);

CREATE UNIQUE INDEX service_links_once ON service_links (application_id, service_id, target_id);

CREATE INDEX service_links_target ON service_links (application_id, target_id);

CREATE TABLE service_scripts (
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	sealed         BLOB NOT NULL,
	seconds        INTEGER NOT NULL,
	changed        DATETIME NOT NULL,
	PRIMARY KEY (application_id, service_id),
	FOREIGN KEY (application_id, service_id) REFERENCES services (application_id, id) ON DELETE CASCADE
);

CREATE TABLE service_secrets (
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	name           TEXT NOT NULL,
	sealed         BLOB NOT NULL,
	PRIMARY KEY (application_id, service_id, name),
	FOREIGN KEY (application_id, service_id) REFERENCES services (application_id, id) ON DELETE CASCADE
);

CREATE TABLE service_variables (
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	name           TEXT NOT NULL,
	value          TEXT NOT NULL,
	sealed         BLOB,
	PRIMARY KEY (application_id, service_id, name),
	FOREIGN KEY (application_id, service_id) REFERENCES services (application_id, id) ON DELETE CASCADE
);

CREATE TABLE services (
	application_id  INTEGER NOT NULL REFERENCES applications (id),
	id              INTEGER NOT NULL,
	type            TEXT NOT NULL,
	name            TEXT NOT NULL,
	cloud           TEXT NOT NULL,
	wanted          TEXT NOT NULL,
	state           TEXT NOT NULL,
	reason          TEXT NOT NULL,
	since           DATETIME NOT NULL,
	nodes           TEXT,
	settings        TEXT,
	partition_index INTEGER NOT NULL,
	created         DATETIME NOT NULL, code_wanted TEXT NOT NULL DEFAULT '', code_serving TEXT NOT NULL DEFAULT '',
	PRIMARY KEY (application_id, id),
	UNIQUE (application_id, name),
	UNIQUE (application_id, partition_index)
);

CREATE TABLE shares (
	application_id INTEGER NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
	user_id        INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	level          TEXT NOT NULL,
	created        DATETIME NOT NULL,
	PRIMARY KEY (application_id, user_id)
);

CREATE INDEX shares_user ON shares (user_id, application_id);

CREATE TABLE "tokens" (
	id      INTEGER PRIMARY KEY AUTOINCREMENT,
	hash    TEXT NOT NULL UNIQUE,
	user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
	name    TEXT NOT NULL,
	created DATETIME NOT NULL,
	expires DATETIME NOT NULL,
	used    DATETIME
);

CREATE UNIQUE INDEX tokens_name ON tokens (user_id, name) WHERE name <> '';

CREATE INDEX tokens_user ON tokens (user_id);

CREATE TABLE users (
	id       INTEGER PRIMARY KEY AUTOINCREMENT,
	name     TEXT NOT NULL UNIQUE,
	role     TEXT NOT NULL,
	password TEXT NOT NULL,
	disabled BOOLEAN NOT NULL,
	created  DATETIME NOT NULL
, email TEXT NOT NULL DEFAULT '', first_name TEXT NOT NULL DEFAULT '', last_name TEXT NOT NULL DEFAULT '', affiliation TEXT NOT NULL DEFAULT '', totp_sealed BLOB, totp_since DATETIME, totp_step INTEGER NOT NULL DEFAULT 0, deleting DATETIME);

CREATE TABLE volumes (
	seq             INTEGER PRIMARY KEY AUTOINCREMENT,
	owner_id        INTEGER NOT NULL,
	application_id  INTEGER NOT NULL,
	service_id      INTEGER NOT NULL,
	role            TEXT NOT NULL,
	automatic       BOOLEAN NOT NULL,
	name            TEXT NOT NULL,
	mount           TEXT NOT NULL,
	cloud           TEXT NOT NULL,
	size_mib        INTEGER NOT NULL,
	token           TEXT NOT NULL UNIQUE,
	volume          TEXT NOT NULL,
	state           TEXT NOT NULL,
	reason          TEXT NOT NULL,
	since           DATETIME NOT NULL,
	node            TEXT NOT NULL,
	holder          TEXT NOT NULL,
	machine         TEXT NOT NULL,
	device          TEXT NOT NULL,
	successor_after INTEGER NOT NULL,
	origin          TEXT NOT NULL,
	until           DATETIME,
	created         DATETIME NOT NULL
);

CREATE INDEX volumes_application ON volumes (application_id, seq);

CREATE UNIQUE INDEX volumes_name ON volumes (application_id, name) WHERE state NOT IN ('orphan', 'deleting', 'gone');

CREATE INDEX volumes_owner ON volumes (owner_id, seq) WHERE state = 'orphan';

CREATE UNIQUE INDEX volumes_volume ON volumes (cloud, volume) WHERE volume <> '' AND state <> 'gone';
