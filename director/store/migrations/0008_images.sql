-- What the director knows of the images that were published to clouds: id is the cloud's own, services the service types whose
-- packages an image holds (JSON). New machines of a cloud start from the one that is current there. An image outlives the account of
-- who has published it, so that is a name.
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
