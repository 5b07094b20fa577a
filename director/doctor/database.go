package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"conpaas/certs"
	"conpaas/director/config"
	"conpaas/director/store"
)

// database tells what the examination says of the database, its fence and the key file.
func database(c *config.Config, e store.Examination) []Finding {
	f := Finding{Check: "database", State: OK, Detail: c.Database + " is whole"}
	switch {
	case e.Damage != nil:
		f = Finding{f.Check, Error, fmt.Sprintf("%s: %v", c.Database, e.Damage), "stop the director and restore the database from its backup"}
		if errors.Is(e.Damage, store.ErrReadOnly) || errors.Is(e.Damage, store.ErrBusy) {
			f.Remedy = "run this as the user that the director runs as, and look again"
		}
	case !e.Exists:
		return []Finding{{f.Check, OK, c.Database + " is not there yet; the first start makes it", ""}}
	case e.Behind:
		f.Detail += "; the next start brings its schema up to date, and copies it first"
	}
	key := Finding{Check: "key file", State: OK, Detail: "it is the owner's alone, and that of the database"}
	if e.Key != nil {
		key = Finding{key.Check, Error, e.Key.Error(), "the director does not start before this is mended"}
	}
	findings := []Finding{f, key}
	if e.Installation.Fence > 0 {
		findings = append(findings, Finding{Check: "fence", State: OK, Detail: fmt.Sprintf("%d, of installation %s", e.Installation.Fence, e.Installation.ID)})
	}
	return findings
}

// authorities looks at the life of the CAs. The newest counts: older ones are trusted only until a rotation ends.
func (m machine) authorities(e store.Examination) []Finding {
	var findings []Finding
	for i, text := range e.Authorities {
		list, err := certs.ParseCertificates(text)
		if err != nil {
			findings = append(findings, Finding{"CA certificate", Error, err.Error(), "restore the database from its backup"})
			continue
		}
		f := m.life("CA certificate", list[0])
		f.Detail = "CA " + certs.Fingerprint(list[0])[:16] + "… " + f.Detail
		switch {
		case i > 0 && f.State != OK:
			f.Remedy = "it is an older one: see with cps ca show who still needs it, then cps ca retire"
		case f.State != OK:
			f.Remedy = "begin a rotation now, it takes as long as nodes need to renew: cps ca rotate"
		}
		findings = append(findings, f)
	}
	return findings
}

// life tells how much of a certificate's life is left: little is a warning, nothing an error.
func (m machine) life(check string, c *x509.Certificate) Finding {
	const part = 8 // of its life, that a certificate should have left
	now := m.now()
	left := c.NotAfter.Sub(now)
	f := Finding{Check: check, State: OK, Detail: fmt.Sprintf("good until %s", c.NotAfter.UTC().Format(time.RFC3339))}
	switch {
	case now.Before(c.NotBefore):
		f.State, f.Detail, f.Remedy = Error, "good only from "+c.NotBefore.UTC().Format(time.RFC3339)+" on", "set the clock right"
	case left <= 0:
		f.State, f.Detail = Error, "has expired at "+c.NotAfter.UTC().Format(time.RFC3339)
	case left < c.NotAfter.Sub(c.NotBefore)/part:
		f.State, f.Detail = Warning, fmt.Sprintf("expires at %s, in %s", c.NotAfter.UTC().Format(time.RFC3339), left.Round(time.Minute))
	}
	return f
}
