package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

// meterRow is a machine that costs, or the paid hour of a lost one that its replacement goes on with.
type meterRow struct {
	NodeSeq       int64 `gorm:"primaryKey;autoIncrement:false"`
	UserID        int64
	ApplicationID int64
	ServiceID     int64
	Role          string
	Start         time.Duration // by the clock of the credit: when its first hour began, or that of its first predecessor
	Hours         int           // begun since Start that are paid or given up; the next one has this number
	Own           bool          // it has paid hour 0 itself
	Joined        bool          // it has been of use
	Vacant        bool          // the machine is lost
}

func (meterRow) TableName() string { return "credit_meters" }

const nextHour = "start + hours * 3600000000000" // in SQL: when the next hour begins

// openMeters begins to charge for nodes of one role that were just reserved, all of the application's owner: each goes on in the
// paid hour of a lost one of its kind, or pays its hour 0. ErrCredit when the owner cannot.
func (tx *Tx) openMeters(rows []nodeRow) error {
	if len(rows) == 0 {
		return nil
	}
	kind := rows[0]
	owner, err := tx.ownerOf(api.ApplicationID(kind.ApplicationID))
	if err != nil {
		return err
	}
	now, err := tx.elapsed()
	if err != nil {
		return err
	}
	var lost []meterRow
	err = tx.db.Where("vacant AND application_id = ? AND service_id = ? AND role = ? AND "+nextHour+" > ?", kind.ApplicationID, kind.ServiceID, kind.Role, int64(now)).
		Order(nextHour + " DESC, node_seq").Limit(len(rows)).Find(&lost).Error
	if err != nil {
		return rowError(err, "paid hours of lost machines")
	}
	a, err := tx.account(owner)
	if err != nil {
		return err
	}
	if err := a.covers(len(rows) - len(lost)); err != nil {
		return err
	}
	meters := make([]meterRow, len(rows))
	for i, row := range rows {
		m := meterRow{NodeSeq: row.Seq, UserID: int64(owner), ApplicationID: row.ApplicationID, ServiceID: row.ServiceID, Role: row.Role, Start: now, Own: true}
		if i < len(lost) {
			m.Start, m.Hours, m.Own = lost[i].Start, lost[i].Hours, false
			a.add(tx, m.entry(api.CreditInherited, m.Hours-1, 0, fmt.Sprintf("replaces %s, whose hour is paid", nodeID(lost[i].NodeSeq))))
			if err := tx.db.Delete(&lost[i]).Error; err != nil {
				return rowError(err, "paid hour of node %s", nodeID(lost[i].NodeSeq))
			}
		} else {
			a.charge(tx, &m)
		}
		meters[i] = m
	}
	if err := tx.db.CreateInBatches(&meters, 500).Error; err != nil {
		return rowError(err, "charge for nodes")
	}
	return a.save(tx)
}

// covers gives ErrCredit where the owner cannot pay for so many more machines.
func (a *account) covers(machines int) error {
	if a.free || int64(machines) <= a.row.Balance {
		return nil
	}
	return fmt.Errorf("%w: %s, and user %q has %d; an administrator can add some: cps user add-credit %s %d",
		ErrCredit, needed(machines), a.name, a.row.Balance, a.name, int64(machines)-a.row.Balance)
}

func needed(machines int) string {
	if machines == 1 {
		return "1 more machine needs 1 credit for its first hour"
	}
	return fmt.Sprintf("%d more machines need %d credits for their first hour", machines, machines)
}

// Covers gives ErrCredit where a user cannot pay for so many more machines.
func (r *Read) Covers(user api.UserID, machines int) error {
	a, err := r.account(user)
	if err != nil {
		return err
	}
	return a.covers(machines)
}

// charge pays the next hour of a machine; the machines of administrators cost nothing.
func (a *account) charge(tx *Tx, m *meterRow) {
	amount := int64(-1)
	if a.free {
		amount = 0
	}
	a.add(tx, m.entry(api.CreditHour, m.Hours, amount, ""))
	m.Hours++
}

func (m meterRow) entry(kind api.CreditKind, hour int, amount int64, reason string) creditEntryRow {
	return creditEntryRow{
		Kind: string(kind), Amount: amount, ApplicationID: m.ApplicationID, ServiceID: m.ServiceID, NodeSeq: &m.NodeSeq, Hour: &hour, Reason: reason,
	}
}

// meterStep follows a node from state to state. One that has never joined gets its hour back. The paid hour of one that was lost
// waits for its replacement; one that is removed gives nothing back.
func (tx *Tx) meterStep(row nodeRow, from api.NodeState, event life.NodeEvent) error {
	joined, ends := event == life.NodeJoined, acts(from) && !acts(api.NodeState(row.State))
	if !joined && !ends {
		return nil
	}
	var m meterRow
	switch err := tx.db.First(&m, row.Seq).Error; {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return nil
	case err != nil:
		return rowError(err, "charge for node %s", nodeID(row.Seq))
	}
	lost := row.State == string(api.NodeFailed) || from == api.NodeUnreachable
	switch {
	case joined && m.Joined:
		return nil
	case joined:
		m.Joined = true
	case lost && (m.Joined || !m.Own):
		m.Vacant = true
	default:
		if err := tx.db.Delete(&m).Error; err != nil || m.Joined || !m.Own {
			return rowError(err, "charge for node %s", nodeID(row.Seq))
		}
		return tx.refund(m, row.Reason)
	}
	return rowError(tx.db.Save(&m).Error, "charge for node %s", nodeID(row.Seq))
}

func acts(s api.NodeState) bool {
	return s != api.NodeFailed && s != api.NodeDeleting && s != api.NodeGone
}

// refund gives back what hour 0 of a node has cost.
func (tx *Tx) refund(m meterRow, why string) error {
	var paid int64
	err := tx.db.Model(&creditEntryRow{}).Where("kind = ? AND node_seq = ? AND hour = 0", string(api.CreditHour), m.NodeSeq).
		Select("amount").Scan(&paid).Error
	if err != nil {
		return rowError(err, "what node %s has cost", nodeID(m.NodeSeq))
	}
	a, err := tx.account(api.UserID(m.UserID))
	if err != nil {
		return err
	}
	a.add(tx, m.entry(api.CreditRefund, 0, -paid, withReason("it never joined", why)))
	return a.save(tx)
}

// Charge charges the hours that have begun, at most so many, and stops the applications of owners who cannot pay. It tells
// the applications that were stopped, and whether there may be more to charge.
func (tx *Tx) Charge(most int) (stopped []api.ApplicationID, more bool, err error) {
	now, err := tx.tick()
	if err != nil {
		return nil, false, err
	}
	if err := tx.db.Delete(&meterRow{}, "vacant AND "+nextHour+" <= ?", int64(now)).Error; err != nil {
		return nil, false, rowError(err, "paid hours of lost machines")
	}
	var due []meterRow
	err = tx.db.Where("joined AND NOT vacant AND "+nextHour+" <= ?", int64(now)).
		Where("application_id IN (SELECT id FROM applications WHERE wanted = 'running')").
		Order(nextHour + ", node_seq").Limit(most).Find(&due).Error
	if err != nil {
		return nil, false, rowError(err, "hours to charge")
	}
	accounts := make(map[int64]*account)
	var broke []*account
	for i := range due {
		m := &due[i]
		a := accounts[m.UserID]
		if a == nil {
			if a, err = tx.account(api.UserID(m.UserID)); err != nil {
				return nil, false, err
			}
			accounts[m.UserID] = a
		}
		if a.covers(1) != nil {
			if !slices.Contains(broke, a) {
				broke = append(broke, a)
			}
			continue
		}
		a.charge(tx, m)
		if err := tx.db.Save(m).Error; err != nil {
			return nil, false, rowError(err, "charge for node %s", nodeID(m.NodeSeq))
		}
	}
	for _, a := range accounts {
		if err := a.save(tx); err != nil {
			return nil, false, err
		}
	}
	for _, a := range broke {
		ids, err := tx.stopAll(a)
		if err != nil {
			return nil, false, err
		}
		stopped = append(stopped, ids...)
	}
	return stopped, len(due) > 0, nil
}

// stopAll stops the applications of an owner who cannot pay.
func (tx *Tx) stopAll(a *account) (stopped []api.ApplicationID, err error) {
	err = tx.db.Model(&applicationRow{}).Where("owner_id = ? AND wanted = ?", a.row.UserID, string(ApplicationRunning)).
		Order("id").Pluck("id", &stopped).Error
	if err != nil {
		return nil, rowError(err, "applications of user %q", a.name)
	}
	for _, id := range stopped {
		if err := tx.stopUnpaid(id, a.name); err != nil {
			return nil, err
		}
	}
	return stopped, nil
}

// StopUnpaid stops an application whose owner cannot pay: its machines go, all else stays, and what waits for it fails.
func (tx *Tx) StopUnpaid(id api.ApplicationID) error {
	owner, err := tx.ownerOf(id)
	if err != nil {
		return err
	}
	u, err := tx.User(owner)
	if err != nil {
		return err
	}
	return tx.stopUnpaid(id, u.Name)
}

func (tx *Tx) stopUnpaid(id api.ApplicationID, owner string) error {
	v, err := tx.SetApplicationWanted(id, ApplicationStopped)
	if err != nil {
		return err
	}
	why := fmt.Sprintf("the credit of user %q is used up; what is not on the machines is kept; when an administrator has added some (cps user add-credit %s N), start it again: cps application start %s",
		owner, owner, v.Name)
	if _, err := tx.AddEvent(Event{Application: id, Kind: "credit.exhausted", Alarm: true, Text: fmt.Sprintf("application %q is stopped: %s", v.Name, why)}); err != nil {
		return err
	}
	nodes, err := tx.LiveNodes(id)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if !acts(n.State) {
			continue
		}
		if _, err := tx.Step(n.ID, life.NodeDelete, NodeChange{Reason: "the credit is used up"}); err != nil {
			return err
		}
	}
	open, err := tx.OpenOperations(id)
	if err != nil {
		return err
	}
	for _, op := range open {
		if _, err := tx.StepOperation(op.ID, life.OperationFail, &Failure{Code: api.CodeCredit, Detail: why}); err != nil {
			return err
		}
	}
	return nil
}
