-- code_wanted and code_serving are ids of code_versions, '' where the type of the service hosts no code.
ALTER TABLE services ADD COLUMN code_wanted TEXT NOT NULL DEFAULT '';
ALTER TABLE services ADD COLUMN code_serving TEXT NOT NULL DEFAULT '';

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

CREATE TABLE service_secrets (
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	name           TEXT NOT NULL,
	sealed         BLOB NOT NULL,
	PRIMARY KEY (application_id, service_id, name),
	FOREIGN KEY (application_id, service_id) REFERENCES services (application_id, id) ON DELETE CASCADE
);
