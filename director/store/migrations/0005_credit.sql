-- What each user has. The entries of a user always sum up to its balance.
CREATE TABLE credits (
	user_id INTEGER PRIMARY KEY REFERENCES users (id),
	balance INTEGER NOT NULL CHECK (balance >= 0),
	warned  BOOLEAN NOT NULL
);

-- user_id and node_seq refer to nothing: what was paid is remembered longer than users and nodes are. node_seq and hour are
-- NULL in entries that are about no machine.
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
CREATE INDEX credit_entries_user ON credit_entries (user_id, id);
CREATE UNIQUE INDEX credit_entries_hour ON credit_entries (node_seq, hour) WHERE kind = 'hour';
CREATE UNIQUE INDEX credit_entries_refund ON credit_entries (node_seq) WHERE kind = 'refund';
CREATE TRIGGER credit_entries_no_update BEFORE UPDATE ON credit_entries
BEGIN
	SELECT RAISE (ABORT, 'entries of the credit are append-only');
END;
CREATE TRIGGER credit_entries_no_delete BEFORE DELETE ON credit_entries
BEGIN
	SELECT RAISE (ABORT, 'entries of the credit are append-only');
END;

-- The machines that cost, and paid hours of lost ones that replacements may use. start is a time of credit_clock.
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

CREATE TABLE credit_clock (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	elapsed INTEGER NOT NULL,
	wall    DATETIME NOT NULL,
	boot    TEXT NOT NULL,
	uptime  INTEGER NOT NULL
);

-- Machines that are there already begin with an hour that costs nothing.
INSERT INTO credit_meters SELECT n.seq, a.owner_id, n.application_id, n.service_id, n.role, 0, 1, FALSE, n.csr_key <> '', FALSE
	FROM nodes n JOIN applications a ON a.id = n.application_id WHERE n.state NOT IN ('failed', 'deleting', 'gone');
