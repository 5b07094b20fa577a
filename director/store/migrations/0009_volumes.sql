-- Disks that outlive machines. token names the request at the cloud, volume is the cloud's id once it is known. node is the machine that
-- is to have it ('' for none), holder the one that has it or may have it, machine that node's at the cloud. service_id and role say
-- whose machines get it, one after another: of those with automatic set every machine has one. successor_after is the number of a node: only
-- newer ones are successors. application_id is 0 for an orphan whose application is gone; until is when an orphan is destroyed.
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
CREATE INDEX volumes_owner ON volumes (owner_id, seq) WHERE state = 'orphan';
CREATE UNIQUE INDEX volumes_name ON volumes (application_id, name) WHERE state NOT IN ('orphan', 'deleting', 'gone');
CREATE UNIQUE INDEX volumes_volume ON volumes (cloud, volume) WHERE volume <> '' AND state <> 'gone';
