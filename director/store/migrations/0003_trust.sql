-- One authority of a kind signs: the newest for which signs is true. A newer one is trusted and does not sign yet.
ALTER TABLE authorities ADD COLUMN signs BOOLEAN NOT NULL DEFAULT TRUE;
-- trust names what the node was given by the CA, '' where that is not known (certs.TrustName).
ALTER TABLE nodes ADD COLUMN trust TEXT NOT NULL DEFAULT '';
