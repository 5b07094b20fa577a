package store

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"

	"conpaas/client/api"
)

// Credit is what a user has and spends now.
type Credit struct {
	User     api.UserID
	Name     string
	Free     bool // its machines cost nothing: it is an administrator
	Balance  int64
	Machines int           // that cost now, 1 credit per hour each
	Lasts    time.Duration // until an hour cannot be paid; 0 where no machine costs
}

// CreditEntry is one change of a user's balance. Entries are never changed nor removed.
type CreditEntry struct {
	ID          int64
	Time        time.Time
	User        api.UserID
	Kind        api.CreditKind
	Amount      int64
	Balance     int64 // after it
	Application api.ApplicationID
	Service     api.ServiceID
	Node        api.NodeID // "": about no machine
	Hour        int        // of the node, from 0
	By          string     // who did it; "": the director
	Reason      string
}

type creditRow struct {
	UserID  int64 `gorm:"primaryKey;autoIncrement:false"`
	Balance int64
	Warned  bool // the owner was told that it does not last
}

func (creditRow) TableName() string { return "credits" }

type creditEntryRow struct {
	ID            int64 `gorm:"primaryKey;autoIncrement"`
	Time          time.Time
	UserID        int64
	Kind          string
	Amount        int64
	Balance       int64
	ApplicationID int64
	ServiceID     int64
	NodeSeq       *int64
	Hour          *int
	By            string
	Reason        string
}

func (creditEntryRow) TableName() string { return "credit_entries" }

func (r creditEntryRow) entry() CreditEntry {
	e := CreditEntry{
		ID: r.ID, Time: r.Time.UTC(), User: api.UserID(r.UserID), Kind: api.CreditKind(r.Kind), Amount: r.Amount, Balance: r.Balance,
		Application: api.ApplicationID(r.ApplicationID), Service: api.ServiceID(r.ServiceID), By: r.By, Reason: r.Reason,
	}
	if r.NodeSeq != nil {
		e.Node = nodeID(*r.NodeSeq)
	}
	if r.Hour != nil {
		e.Hour = *r.Hour
	}
	return e
}

// account is a user's balance in a transaction that changes it.
type account struct {
	row     creditRow
	name    string
	free    bool
	entries []creditEntryRow
}

func (r *Read) account(user api.UserID) (*account, error) {
	u, err := r.User(user)
	if err != nil {
		return nil, err
	}
	a := &account{row: creditRow{UserID: int64(user)}, name: u.Name, free: u.Role == api.RoleAdmin}
	err = r.db.First(&a.row, int64(user)).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = nil
	}
	return a, rowError(err, "credit of user %q", u.Name)
}

// add notes an entry; its user, time, and balance are filled in here.
func (a *account) add(tx *Tx, e creditEntryRow) {
	a.row.Balance += e.Amount
	e.UserID, e.Time, e.Balance = a.row.UserID, tx.now, a.row.Balance
	a.entries = append(a.entries, e)
}

// save writes the balance and the entries that were added.
func (a *account) save(tx *Tx) error {
	const batch = 500 // SQLite bounds the variables of a statement
	if err := tx.db.Save(&a.row).Error; err != nil {
		return rowError(err, "credit of user %q", a.name)
	}
	if len(a.entries) == 0 {
		return nil
	}
	err := tx.db.CreateInBatches(&a.entries, batch).Error
	a.entries = nil
	return rowError(err, "entry of the credit of user %q", a.name)
}

// Grant changes a user's balance and says who did it and why. It takes no more than there is: the entry tells how much.
func (tx *Tx) Grant(user api.UserID, kind api.CreditKind, amount int64, by, reason string) (CreditEntry, error) {
	a, err := tx.account(user)
	if err != nil {
		return CreditEntry{}, err
	}
	before := a.row.Balance
	a.add(tx, creditEntryRow{Kind: string(kind), Amount: max(amount, -before), By: by, Reason: reason})
	tx.changed("credit of "+a.name, strconv.FormatInt(before, 10), strconv.FormatInt(a.row.Balance, 10))
	made := a.entries
	if err := a.save(tx); err != nil {
		return CreditEntry{}, err
	}
	return made[0].entry(), nil
}

// OpenAccounts gives every user that has no balance yet its first credits.
func (tx *Tx) OpenAccounts(amount int64, reason string) error {
	var ids []api.UserID
	err := tx.db.Model(&userRow{}).Where("id NOT IN (SELECT user_id FROM credits)").Order("id").Pluck("id", &ids).Error
	if err != nil {
		return rowError(err, "users without credit")
	}
	for _, id := range ids {
		if _, err := tx.Grant(id, api.CreditInitial, amount, "", reason); err != nil {
			return err
		}
	}
	return nil
}

// closeCredit takes what is left of a user who is deleted; the entries stay.
func (tx *Tx) closeCredit(user api.UserID) error {
	a, err := tx.account(user)
	if err != nil {
		return err
	}
	a.add(tx, creditEntryRow{Kind: string(api.CreditClosed), Amount: -a.row.Balance, Reason: fmt.Sprintf("user %q is deleted", a.name)})
	if err := a.save(tx); err != nil {
		return err
	}
	return rowError(tx.db.Delete(&a.row).Error, "credit of user %q", a.name)
}

// Credit gives what a user has and spends now.
func (r *Read) Credit(user api.UserID) (Credit, error) {
	a, err := r.account(user)
	if err != nil {
		return Credit{}, err
	}
	c := Credit{User: user, Name: a.name, Free: a.free, Balance: a.row.Balance}
	c.Machines, c.Lasts, err = r.lasts(user, a.row.Balance)
	return c, err
}

// CreditPage gives a page of the credits of all users by id, and where the next one begins (0: nowhere).
func (r *Read) CreditPage(p Page) ([]Credit, int64, error) {
	users, next, err := r.Users(p)
	if err != nil {
		return nil, 0, err
	}
	credits := make([]Credit, len(users))
	for i, u := range users {
		if credits[i], err = r.Credit(u.ID); err != nil {
			return nil, 0, err
		}
	}
	return credits, next, nil
}

// CreditFilter limits entries to an application or a node; zero members to all.
type CreditFilter struct {
	Application api.ApplicationID
	Node        api.NodeID
}

func (r *Read) entries(user api.UserID, f CreditFilter) (*gorm.DB, error) {
	query := r.db.Where("user_id = ?", int64(user))
	if f.Application != 0 {
		query = query.Where("application_id = ?", int64(f.Application))
	}
	if f.Node == "" {
		return query, nil
	}
	seq, err := nodeSeq(f.Node)
	return query.Where("node_seq = ?", seq), err
}

// CreditEntries gives a page of the entries of a user, who may be deleted, by id, and where the next one begins (0: nowhere).
func (r *Read) CreditEntries(user api.UserID, f CreditFilter, p Page) ([]CreditEntry, int64, error) {
	query, err := r.entries(user, f)
	if err != nil {
		return nil, 0, err
	}
	rows, next, err := list(query, "id", p, func(r creditEntryRow) int64 { return r.ID })
	return convert(rows, creditEntryRow.entry), next, err
}

// NodeCredit is what one node has cost.
type NodeCredit struct {
	Node        api.NodeID
	Application api.ApplicationID
	Service     api.ServiceID
	Hours       int   // that it has begun itself; a replacement goes on in an hour of its predecessor
	Credits     int64 // that were paid for it
	First, Last time.Time
}

// NodeCredits gives a page of what the nodes of a user have cost by node, and where the next one begins (0: nowhere).
func (r *Read) NodeCredits(user api.UserID, f CreditFilter, p Page) ([]NodeCredit, int64, error) {
	query, err := r.entries(user, f)
	if err != nil {
		return nil, 0, err
	}
	type sum struct {
		NodeSeq, ApplicationID, ServiceID, Credits, First, Last int64
		Hours                                                   int
	}
	// The times are those of the first and the last entry: SQLite gives what min() makes of a time no type.
	query = query.Model(&creditEntryRow{}).Where("node_seq > 0").
		Select("node_seq, application_id, service_id, -sum(amount) AS credits, min(id) AS first, max(id) AS last, sum(kind = 'hour') - sum(kind = 'refund') AS hours").
		Group("node_seq, application_id, service_id")
	sums, next, err := list(query, "node_seq", p, func(s sum) int64 { return s.NodeSeq })
	if err != nil {
		return nil, 0, err
	}
	var ids []int64
	for _, s := range sums {
		ids = append(ids, s.First, s.Last)
	}
	var ends []creditEntryRow
	if err := r.db.Select("id", "time").Where("id IN ?", ids).Find(&ends).Error; err != nil {
		return nil, 0, rowError(err, "entries of the credit")
	}
	at := make(map[int64]time.Time, len(ends))
	for _, e := range ends {
		at[e.ID] = e.Time.UTC()
	}
	return convert(sums, func(s sum) NodeCredit {
		return NodeCredit{
			Node: nodeID(s.NodeSeq), Application: api.ApplicationID(s.ApplicationID), Service: api.ServiceID(s.ServiceID),
			Hours: s.Hours, Credits: s.Credits, First: at[s.First], Last: at[s.Last],
		}
	}), next, nil
}

// checkCredits sees that every balance is the sum of its entries.
func checkCredits(db *gorm.DB) error {
	var wrong []struct{ ID, Balance, Sum int64 }
	err := db.Raw(`SELECT id, max(balance) AS balance, max(sum) AS sum FROM (
			SELECT user_id AS id, balance, 0 AS sum FROM credits
			UNION ALL SELECT user_id, 0, sum(amount) FROM credit_entries GROUP BY user_id)
		GROUP BY id HAVING max(balance) <> max(sum) OR min(sum) < 0 ORDER BY id LIMIT 1`).Scan(&wrong).Error
	if err != nil {
		return err
	}
	for _, w := range wrong {
		return fmt.Errorf("%w: the credit of user %d is %d, and its entries sum up to %d", ErrDamaged, w.ID, w.Balance, w.Sum)
	}
	return nil
}
