package store

import "time"

// Prune removes what ended before a time and is of no use any more: gone nodes whose address is released, gone volumes, ended
// operations, events, expired tokens, and certificates that have expired, whose serials stay unique because they are random.
func (tx *Tx) Prune(before time.Time) error {
	before = before.UTC()
	for _, old := range []struct {
		table any
		where string
	}{
		{&nodeRow{}, "state = 'gone' AND released AND since < ?"},
		{&volumeRow{}, "state = 'gone' AND since < ?"},
		{&operationRow{}, "ended < ?"},
		{&eventRow{}, "time < ?"},
		{&tokenRow{}, "expires < ?"},
		{&certificateRow{}, "not_after < ?"},
	} {
		if err := tx.db.Where(old.where, before).Delete(old.table).Error; err != nil {
			return rowError(err, "prune")
		}
	}
	return nil
}
