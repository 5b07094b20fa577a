-- The environment variables that owners give to services: value of plain ones ('' of secrets), sealed of secrets.
CREATE TABLE service_variables (
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	name           TEXT NOT NULL,
	value          TEXT NOT NULL,
	sealed         BLOB,
	PRIMARY KEY (application_id, service_id, name),
	FOREIGN KEY (application_id, service_id) REFERENCES services (application_id, id) ON DELETE CASCADE
);
-- What a service is linked with, in order of id. A service is not removed while others are linked with it.
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
-- The script that runs once on every new machine of a service, before its roles; sealed, since scripts hold secrets.
CREATE TABLE service_scripts (
	application_id INTEGER NOT NULL,
	service_id     INTEGER NOT NULL,
	sealed         BLOB NOT NULL,
	seconds        INTEGER NOT NULL,
	changed        DATETIME NOT NULL,
	PRIMARY KEY (application_id, service_id),
	FOREIGN KEY (application_id, service_id) REFERENCES services (application_id, id) ON DELETE CASCADE
);
