package store

import (
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"conpaas/client/api"
)

// OutcomeDone is the outcome of a request that was a success; others have an api.Code.
const OutcomeDone = "done"

// ErrTampered is wrapped by the error of VerifyAudit.
var ErrTampered = errors.New("the audit log was tampered with")

// actionPruned is the action of a checkpoint: entries up to Pruned have been removed because of their age.
const actionPruned = "audit-pruned"

// AuditEntry is one line of the audit log: who did or tried what. Entries are never changed; PruneAudit removes the oldest.
type AuditEntry struct {
	ID   int64 // set by the store, without gaps, as Time is
	Time time.Time
	Origin
	Action      string            // id of the route
	Application api.ApplicationID // 0: it is about none
	Owner       api.UserID        // of the application
	Object      string            // what it is about, for people
	Changes     []Change
	Outcome     string
	Detail      string // of a refusal
	Count       int64  // how many requests it stands for
}

type auditRow struct {
	ID            int64 `gorm:"primaryKey;autoIncrement"`
	Time          time.Time
	UserID        int64
	Who           string
	Credential    string
	Address       string
	Agent         string
	Request       string
	Action        string
	ApplicationID int64
	OwnerID       int64
	Object        string
	Changes       []Change `gorm:"serializer:json"`
	Outcome       string
	Detail        string
	Count         int64
	Pruned        int64
	PrunedHash    string
	Previous      string
	Hash          string
}

func (auditRow) TableName() string { return "audit" }

func (r auditRow) entry() AuditEntry {
	return AuditEntry{
		ID: r.ID, Time: r.Time.UTC(), Action: r.Action, Application: api.ApplicationID(r.ApplicationID), Owner: api.UserID(r.OwnerID),
		Origin: Origin{User: api.UserID(r.UserID), Who: r.Who, Credential: r.Credential, Address: r.Address, Agent: r.Agent, Request: r.Request},
		Object: r.Object, Changes: r.Changes, Outcome: r.Outcome, Detail: r.Detail, Count: r.Count,
	}
}

// sum is the hash of an entry, keyed by the key file: who can only write the database cannot make another chain.
func (b *box) sum(row auditRow) string {
	row.Hash, row.Time = "", row.Time.UTC()
	text, err := json.Marshal(row)
	if err != nil {
		panic(err) // numbers, texts and a time always marshal
	}
	return b.derive("audit/" + string(text))
}

// AddAudit adds an entry to the end of the log; ID and Time are set here.
func (tx *Tx) AddAudit(e AuditEntry) error {
	return tx.appendAudit(auditRow{
		UserID: int64(e.User), Who: e.Who, Credential: e.Credential, Address: e.Address, Agent: e.Agent, Request: e.Request, Action: e.Action,
		ApplicationID: int64(e.Application), OwnerID: int64(e.Owner), Object: e.Object, Changes: e.Changes, Outcome: e.Outcome, Detail: e.Detail,
		Count: max(e.Count, 1),
	})
}

func (tx *Tx) appendAudit(row auditRow) error {
	var last []auditRow
	if err := tx.db.Select("id", "hash").Order("id DESC").Limit(1).Find(&last).Error; err != nil {
		return rowError(err, "end of the audit log")
	}
	row.ID, row.Time = 1, tx.now
	if len(last) > 0 {
		row.ID, row.Previous = last[0].ID+1, last[0].Hash
	}
	row.Hash = tx.box.sum(row)
	return rowError(tx.db.Create(&row).Error, "audit entry %s", row.Action)
}

// AuditFilter says which entries are wanted. The zero value wants all.
type AuditFilter struct {
	Who         string // a user's name, or for example "agent n2"
	Application api.ApplicationID
	Action      string // its beginning
	Address     string
	Failed      bool // only what was refused or went wrong
	Since       time.Time
	Until       time.Time
	VisibleTo   api.UserID // only what this user did, or was done with an application of it; 0: all
}

func (f AuditFilter) where(query *gorm.DB) *gorm.DB {
	when := func(wanted bool, condition string, values ...any) {
		if wanted {
			query = query.Where(condition, values...)
		}
	}
	when(f.Who != "", "who = ?", f.Who)
	when(f.Application != 0, "application_id = ?", int64(f.Application))
	when(f.Action != "", "action >= ? AND action < ?", f.Action, f.Action+"\U0010ffff")
	when(f.Address != "", "address = ?", f.Address)
	when(f.Address != "" && f.VisibleTo != 0, "user_id = ?", int64(f.VisibleTo)) // from where others came is not for owners
	when(f.Failed, "outcome <> ?", OutcomeDone)
	when(!f.Since.IsZero(), "time >= ?", f.Since.UTC())
	when(!f.Until.IsZero(), "time < ?", f.Until.UTC())
	when(f.VisibleTo != 0, "(user_id = ? OR owner_id = ?)", int64(f.VisibleTo), int64(f.VisibleTo))
	return query
}

// Audit gives a page of entries, the newest first, and where the next one begins (0: nowhere): p.After is the entry before which
// it goes on.
func (r *Read) Audit(f AuditFilter, p Page) ([]AuditEntry, int64, error) {
	query := f.where(r.db)
	if p.After != 0 {
		query = query.Where("id < ?", p.After)
	}
	var rows []auditRow
	if err := query.Order("id DESC").Limit(p.Most() + 1).Find(&rows).Error; err != nil {
		return nil, 0, rowError(err, "audit log")
	}
	var next int64
	if len(rows) > p.Most() {
		rows = rows[:p.Most()]
		next = rows[len(rows)-1].ID
	}
	return convert(rows, auditRow.entry), next, nil
}

// PruneAudit removes at most so many of the oldest entries, as far as all of them are from before a time, and gives how many. What
// goes is said by an entry that stays: a checkpoint with the hash of the last one, from which the chain goes on.
func (tx *Tx) PruneAudit(before time.Time, most int) (int, error) {
	var old []auditRow
	if err := tx.db.Select("id", "time", "hash").Order("id").Limit(most).Find(&old).Error; err != nil {
		return 0, rowError(err, "audit log")
	}
	for i, row := range old {
		if !row.Time.Before(before) {
			old = old[:i]
			break
		}
	}
	if len(old) == 0 {
		return 0, nil
	}
	last := old[len(old)-1]
	err := tx.appendAudit(auditRow{
		Who: "director", Action: actionPruned, Outcome: OutcomeDone, Count: 1, Pruned: last.ID, PrunedHash: last.Hash,
		Object: fmt.Sprintf("%d entries up to %d", len(old), last.ID),
	})
	if err != nil {
		return 0, err
	}
	return len(old), rowError(tx.db.Delete(&auditRow{}, "id <= ?", last.ID).Error, "prune the audit log")
}

// AuditEnd is what VerifyAudit has found: how many entries there are, and the last. Who keeps its hash elsewhere can tell later
// whether the end of the log was cut off and written anew.
type AuditEnd struct {
	Entries int64     `json:"entries"`
	Last    int64     `json:"last"`
	Time    time.Time `json:"time"`
	Hash    string    `json:"hash"`
}

// VerifyAudit reads the whole log. Its error wraps ErrTampered and names the first entry that was changed, added or is missing.
func (r *Read) VerifyAudit() (end AuditEnd, err error) {
	broken := func(id int64, what string) error { return fmt.Errorf("%w: entry %d %s", ErrTampered, id, what) }
	var checkpoint auditRow
	if err := r.db.Where("pruned > 0").Order("pruned DESC").Limit(1).Find(&checkpoint).Error; err != nil {
		return end, rowError(err, "audit log")
	}
	end.Last, end.Hash = checkpoint.Pruned, checkpoint.PrunedHash
	for {
		var rows []auditRow
		if err := r.db.Where("id > ?", end.Last).Order("id").Limit(largestPage).Find(&rows).Error; err != nil {
			return end, rowError(err, "audit log")
		}
		for _, row := range rows {
			switch {
			case row.ID != end.Last+1:
				return end, broken(end.Last+1, "is missing")
			case row.Previous != end.Hash:
				return end, broken(row.ID, "does not follow the one before")
			case !hmac.Equal([]byte(r.box.sum(row)), []byte(row.Hash)):
				return end, broken(row.ID, "was changed")
			}
			end = AuditEnd{Entries: end.Entries + 1, Last: row.ID, Time: row.Time.UTC(), Hash: row.Hash}
		}
		if len(rows) < largestPage {
			break
		}
	}
	var given []int64
	if err := r.db.Raw("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").Scan(&given).Error; err != nil {
		return end, rowError(err, "audit log")
	}
	if len(given) > 0 && given[0] > end.Last {
		return end, broken(end.Last+1, "is missing, and all behind it")
	}
	return end, nil
}
