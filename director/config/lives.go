package config

import (
	"fmt"
	"time"
)

// Lives says how long certificates are good, and how long the audit log and orphaned volumes are kept.
type Lives struct {
	Node     time.Duration // NODE_CERT_LIFE: of a node's certificate, which is renewed at two thirds of it
	Grace    time.Duration // NODE_CERT_GRACE: after its end a node's certificate still opens the renewal, and nothing else
	Director time.Duration // DIRECTOR_CERT_LIFE: of the certificate that the director shows
	CA       time.Duration // CA_LIFE: of a certificate authority that is made from now on
	Audit    time.Duration // AUDIT_KEEP: of an entry of the audit log
	Volume   time.Duration // VOLUME_KEEP: of a volume that nothing needs any more
}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// life is one key with its limits.
type life struct {
	key         string
	at          *time.Duration
	usual       time.Duration
	least, most time.Duration
	example     string
}

func (l *Lives) table() []life {
	return []life{
		{"NODE_CERT_LIFE", &l.Node, 30 * day, 10 * time.Second, year, "720h"},
		{"NODE_CERT_GRACE", &l.Grace, 90 * day, time.Second, 90 * day, "2160h"},
		{"DIRECTOR_CERT_LIFE", &l.Director, 90 * day, time.Minute, year, "2160h"},
		{"CA_LIFE", &l.CA, 10 * year, day, 30 * year, "87600h"},
		{"AUDIT_KEEP", &l.Audit, year, day, 30 * year, "8760h"},
		{"VOLUME_KEEP", &l.Volume, 7 * day, time.Second, 10 * year, "168h"},
	}
}

// lives reads how long things are kept.
func (r *reader) lives(c *Config) {
	for _, l := range c.Lives.table() {
		*l.at = l.usual
		e := r.take(sectionDirector, l.key)
		if e == nil {
			continue
		}
		d, err := time.ParseDuration(e.value)
		if err != nil || d < l.least || d > l.most {
			r.fail(e.line, "%s = %s: want a time like %s, from %s to %s", e.name, e.value, l.example, hours(l.least), hours(l.most))
			continue
		}
		*l.at = d
	}
}

// hours writes a time as the configuration has it: whole hours without minutes and seconds.
func hours(d time.Duration) string {
	if d >= time.Hour && d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}
