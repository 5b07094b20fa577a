package store

import (
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm/clause"

	"conpaas/client/api"
)

// Share lets a user who does not own an application use it.
type Share struct {
	Application api.ApplicationID
	User        api.UserID
	Level       api.ShareLevel
	Created     time.Time // of the share; a change of its level keeps it
}

type shareRow struct {
	ApplicationID int64 `gorm:"primaryKey;autoIncrement:false"`
	UserID        int64 `gorm:"primaryKey;autoIncrement:false"`
	Level         string
	Created       time.Time
}

func (shareRow) TableName() string { return "shares" }

func (r shareRow) share() Share {
	return Share{Application: api.ApplicationID(r.ApplicationID), User: api.UserID(r.UserID), Level: api.ShareLevel(r.Level), Created: r.Created.UTC()}
}

// OwnerSeparator stands between the name of an owner and that of an application of it. No name has it.
const OwnerSeparator = ":"

// Reach gives the application that ref names to a user, and how the user has it: level "" is its owner. ref is an id in
// decimal, the name of one of its own, or OWNER:NAME. What is neither its own nor shared with it is ErrNotFound, as what
// does not exist; the trail of the request knows it all the same.
func (r *Read) Reach(user api.UserID, ref string) (Application, api.ShareLevel, error) {
	unknown := fmt.Errorf("application %q: %w", ref, ErrNotFound)
	query := r.db
	if owner, name, ok := strings.Cut(ref, OwnerSeparator); ok {
		query = query.Where("owner_id = (SELECT id FROM users WHERE name = ?) AND name = ?", owner, name)
	} else if id, err := sequence(ref, ""); err == nil {
		query = query.Where("id = ?", id)
	} else {
		query = query.Where("owner_id = ? AND name = ?", int64(user), ref)
	}
	var rows []applicationRow
	if err := query.Limit(1).Find(&rows).Error; err != nil {
		return Application{}, "", rowError(err, "application %q", ref)
	}
	if len(rows) == 0 {
		return Application{}, "", unknown
	}
	v := rows[0].application()
	level, err := r.holds(user, v, unknown)
	if err != nil {
		return Application{}, "", err
	}
	return v, level, nil
}

// ReachNode gives a node with its application, and how the user has that, like Reach.
func (r *Read) ReachNode(user api.UserID, id api.NodeID) (Node, Application, api.ShareLevel, error) {
	n, err := r.Node(id)
	if err != nil {
		return Node{}, Application{}, "", err
	}
	v, err := r.Application(n.Application)
	if err != nil {
		return Node{}, Application{}, "", err
	}
	level, err := r.holds(user, v, fmt.Errorf("node %s: %w", id, ErrNotFound))
	if err != nil {
		return Node{}, Application{}, "", err
	}
	return n, v, level, nil
}

// ReachOperation gives an operation with its application, and how the user has that, like Reach. Of an application that is
// deleted there is but the id, and only its owner has its operations.
func (r *Read) ReachOperation(user api.UserID, id api.OperationID) (Operation, Application, api.ShareLevel, error) {
	op, err := r.Operation(id)
	if err != nil {
		return Operation{}, Application{}, "", err
	}
	v := Application{ID: op.Application, Owner: op.Owner}
	var rows []applicationRow
	if err := r.db.Limit(1).Find(&rows, "id = ?", int64(op.Application)).Error; err != nil {
		return Operation{}, Application{}, "", rowError(err, "application %s", op.Application)
	}
	if len(rows) > 0 {
		v = rows[0].application()
	}
	level, err := r.holds(user, v, fmt.Errorf("operation %s: %w", id, ErrNotFound))
	if err != nil {
		return Operation{}, Application{}, "", err
	}
	return op, v, level, nil
}

// holds tells how a user has an application: "" is its owner, unknown is the error for those who do not have it.
func (r *Read) holds(user api.UserID, v Application, unknown error) (api.ShareLevel, error) {
	r.trail.about(v)
	if v.Owner == user {
		return "", nil
	}
	var levels []string
	err := r.db.Model(&shareRow{}).Where("application_id = ? AND user_id = ?", int64(v.ID), int64(user)).Pluck("level", &levels).Error
	if err != nil {
		return "", rowError(err, "shares of application %s", v.ID)
	}
	if len(levels) == 0 {
		return "", unknown
	}
	return api.ShareLevel(levels[0]), nil
}

// ReachableApplications gives a page of the applications that a user owns or has a share of by id, and where the next one
// begins (0: nowhere), with the levels of those that are shared.
func (r *Read) ReachableApplications(user api.UserID, p Page) (page []Application, levels map[api.ApplicationID]api.ShareLevel, next int64, err error) {
	var shares []shareRow
	if err := r.db.Find(&shares, "user_id = ?", int64(user)).Error; err != nil {
		return nil, nil, 0, rowError(err, "shares of user %d", user)
	}
	levels = make(map[api.ApplicationID]api.ShareLevel, len(shares))
	for _, s := range shares {
		levels[api.ApplicationID(s.ApplicationID)] = api.ShareLevel(s.Level)
	}
	query := r.db.Where("(owner_id = ? OR id IN (SELECT application_id FROM shares WHERE user_id = ?))", int64(user), int64(user))
	rows, next, err := list(query, "id", p, func(r applicationRow) int64 { return r.ID })
	return convert(rows, applicationRow.application), levels, next, err
}

// ReachableOperations gives a page of the operations of applications that a user owns or has a share of by number, and where
// the next one begins (0: nowhere). Application 0 means all.
func (r *Read) ReachableOperations(user api.UserID, application api.ApplicationID, p Page) ([]Operation, int64, error) {
	query := r.db.Where("(owner_id = ? OR application_id IN (SELECT application_id FROM shares WHERE user_id = ?))", int64(user), int64(user))
	if application != 0 {
		query = query.Where("application_id = ?", int64(application))
	}
	rows, next, err := list(query, "seq", p, func(r operationRow) int64 { return r.Seq })
	return convert(rows, operationRow.operation), next, err
}

// Shares gives a page of the shares of an application by user, and where the next one begins (0: nowhere).
func (r *Read) Shares(application api.ApplicationID, p Page) ([]Share, int64, error) {
	query := r.db.Where("application_id = ?", int64(application))
	rows, next, err := list(query, "user_id", p, func(r shareRow) int64 { return r.UserID })
	return convert(rows, shareRow.share), next, err
}

// UserNames gives the names of some users at once; one that does not exist any more has none.
func (r *Read) UserNames(ids []api.UserID) (map[api.UserID]string, error) {
	var rows []userRow
	if err := r.db.Select("id", "name").Find(&rows, "id IN ?", ids).Error; err != nil {
		return nil, rowError(err, "names of users")
	}
	names := make(map[api.UserID]string, len(rows))
	for _, row := range rows {
		names[api.UserID(row.ID)] = row.Name
	}
	return names, nil
}

// PutShare shares an application with a user, or changes the level. ErrConflict when the application is being deleted.
func (tx *Tx) PutShare(application api.ApplicationID, user User, level api.ShareLevel) (Share, error) {
	v, err := tx.Application(application)
	if err != nil {
		return Share{}, err
	}
	if v.Wanted == ApplicationDeleted {
		return Share{}, fmt.Errorf("application %s is being deleted: %w", application, ErrConflict)
	}
	row := shareRow{ApplicationID: int64(application), UserID: int64(user.ID), Level: string(level), Created: tx.now}
	var before []shareRow
	if err := tx.db.Find(&before, "application_id = ? AND user_id = ?", row.ApplicationID, row.UserID).Error; err != nil {
		return Share{}, rowError(err, "share with user %q", user.Name)
	}
	had := ""
	if len(before) > 0 {
		had, row.Created = before[0].Level, before[0].Created
	}
	if err := tx.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error; err != nil {
		return Share{}, rowError(err, "share with user %q", user.Name)
	}
	tx.changed("share with "+user.Name, had, string(level))
	if had == string(level) {
		return row.share(), nil
	}
	_, err = tx.AddEvent(Event{Application: application, Kind: "application.shared", Text: fmt.Sprintf("application %q is shared with %s: %s", v.Name, user.Name, level)})
	return row.share(), err
}

// DeleteShare ends the share of a user, or gives ErrNotFound.
func (tx *Tx) DeleteShare(application api.ApplicationID, user User) error {
	var before []shareRow
	where := []any{"application_id = ? AND user_id = ?", int64(application), int64(user.ID)}
	if err := tx.db.Find(&before, where...).Error; err != nil {
		return rowError(err, "share with user %q", user.Name)
	}
	if len(before) == 0 {
		return fmt.Errorf("share with user %q: %w", user.Name, ErrNotFound)
	}
	if err := tx.db.Delete(&shareRow{}, where...).Error; err != nil {
		return rowError(err, "share with user %q", user.Name)
	}
	tx.changed("share with "+user.Name, before[0].Level, "")
	_, err := tx.AddEvent(Event{Application: application, Kind: "application.unshared", Text: fmt.Sprintf("the application is not shared with %s any more", user.Name)})
	return err
}

// deleteShares ends all shares of an application.
func (tx *Tx) deleteShares(application int64) error {
	return rowError(tx.db.Delete(&shareRow{}, "application_id = ?", application).Error, "shares of application %d", application)
}
