package store

import (
	"fmt"
	"slices"
	"time"

	"conpaas/client/api"
)

// Owners are warned when their credit lasts for less than this.
const (
	LowCredit  = 6 * time.Hour
	highCredit = LowCredit + Hour // more ends the warning: the next one is another
)

// lasts counts the machines of a user that cost, and tells how long a balance lasts for them.
func (r *Read) lasts(user api.UserID, balance int64) (machines int, left time.Duration, err error) {
	var due []time.Duration
	err = r.db.Model(&meterRow{}).Where("user_id = ? AND NOT vacant", int64(user)).Select(nextHour).Scan(&due).Error
	if err != nil || len(due) == 0 {
		return 0, 0, rowError(err, "machines of user %d", user)
	}
	now, err := r.elapsed()
	if err != nil {
		return 0, 0, err
	}
	// The next hours of all machines begin one after another, and those after them in the same order an hour later.
	slices.Sort(due)
	n := int64(len(due))
	end := due[balance%n] + time.Duration(min(balance/n, 1<<20))*Hour
	return len(due), max(0, end-now), nil
}

// WarnLow warns the owners whose credit does not last, once each until it does again.
func (tx *Tx) WarnLow() error {
	var rows []creditRow
	err := tx.db.Table("credits c").Select("c.*").
		Joins("JOIN users u ON u.id = c.user_id AND u.role <> ?", string(api.RoleAdmin)).
		Where("c.warned OR EXISTS (SELECT 1 FROM credit_meters m WHERE m.user_id = c.user_id AND NOT m.vacant)").Find(&rows).Error
	if err != nil {
		return rowError(err, "credits")
	}
	for _, row := range rows {
		user := api.UserID(row.UserID)
		machines, left, err := tx.lasts(user, row.Balance)
		if err != nil {
			return err
		}
		warned := machines > 0 && (left < LowCredit || row.Warned && left < highCredit)
		if warned == row.Warned {
			continue
		}
		row.Warned = warned
		if err := tx.db.Save(&row).Error; err != nil {
			return rowError(err, "credit of user %d", user)
		}
		if warned {
			if err := tx.warn(user, row.Balance, machines, left); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) warn(user api.UserID, balance int64, machines int, left time.Duration) error {
	u, err := tx.User(user)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("the credit of user %q (%d) lasts for about %s with %s; then its applications are stopped; an administrator can add some: cps user add-credit %s N",
		u.Name, balance, inWords(left), atWork(machines), u.Name)
	var ids []api.ApplicationID
	err = tx.db.Model(&applicationRow{}).Where("owner_id = ? AND wanted = ?", int64(user), string(ApplicationRunning)).Order("id").Pluck("id", &ids).Error
	if err != nil {
		return rowError(err, "applications of user %q", u.Name)
	}
	for _, id := range ids {
		if _, err := tx.AddEvent(Event{Application: id, Kind: "credit.low", Text: text, Alarm: true}); err != nil {
			return err
		}
	}
	return nil
}

// inWords gives a time in hours and minutes, for example "2 h 20 min".
func inWords(d time.Duration) string {
	d = d.Round(time.Minute)
	if d < Hour {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d h %d min", d/Hour, d%Hour/time.Minute)
}

func atWork(machines int) string {
	if machines == 1 {
		return "1 machine"
	}
	return fmt.Sprintf("%d machines", machines)
}
