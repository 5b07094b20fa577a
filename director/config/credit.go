package config

import "strconv"

// What new users get where the configuration says nothing, as in the original.
const (
	usualCredit = 50
	mostCredit  = 1_000_000_000
)

// credit reads what new users get. MAX_CREDIT stood in [conpaas] in the original, and may still.
func (r *reader) credit(c *Config) {
	c.MaxCredit = usualCredit
	e, old := r.take(sectionDirector, "MAX_CREDIT"), r.take(sectionGeneral, "MAX_CREDIT")
	switch {
	case e != nil && old != nil:
		r.fail(old.line, "MAX_CREDIT stands in [%s] too; remove this one", sectionDirector)
	case e == nil:
		e = old
	}
	if e != nil {
		c.MaxCredit = r.credits(e, mostCredit)
	}
	c.InitialCredit = min(usualCredit, c.MaxCredit)
	if e := r.take(sectionDirector, "INITIAL_CREDIT"); e != nil {
		c.InitialCredit = r.credits(e, c.MaxCredit)
	}
}

func (r *reader) credits(e *entry, most int64) int64 {
	n, err := strconv.ParseInt(e.value, 10, 64)
	if err != nil || n < 0 || n > most {
		r.fail(e.line, "%s = %s: want a whole number of credits from 0 to %d%s", e.name, e.value, most, map[bool]string{true: "", false: " (MAX_CREDIT)"}[most == mostCredit])
		return most
	}
	return n
}
