package store

import (
	"fmt"
	"net/netip"
	"time"

	"conpaas/client/api"
	"conpaas/vpn"
)

// ApplicationWanted is what the owner wants of an application.
type ApplicationWanted string

// What may be wanted of an application. Deleted is final.
const (
	ApplicationRunning ApplicationWanted = "running"
	ApplicationStopped ApplicationWanted = "stopped"
	ApplicationDeleted ApplicationWanted = "deleted"
)

// Application is what the owner wants of one application, and how it is.
type Application struct {
	ID          api.ApplicationID // never reused
	Owner       api.UserID
	Name        string // unique among the owner's
	Cloud       string
	Wanted      ApplicationWanted
	State       api.State // shown
	Reason      string    // why it is in State
	Since       time.Time // when it entered State
	Revision    uint64    // raised by every change of what is wanted of it or its services, from 1
	Settled     uint64    // the last revision of which all was there
	Incarnation uint64    // raised by every manager, from 1; 0: it never had one
	Prefix      netip.Prefix
	ServiceBits int
	Created     time.Time
}

// Plan deals out the addresses of the application's network.
func (a Application) Plan() (vpn.Plan, error) { return vpn.NewPlan(a.Prefix, a.ServiceBits) }

type applicationRow struct {
	ID          int64 `gorm:"primaryKey;autoIncrement"`
	OwnerID     int64
	Name        string
	Cloud       string
	Wanted      string
	State       string
	Reason      string
	Since       time.Time
	Revision    uint64
	Settled     uint64
	Incarnation uint64
	Prefix      string
	ServiceBits int
	LastService int64
	Created     time.Time
}

func (applicationRow) TableName() string { return "applications" }

func (r applicationRow) application() Application {
	prefix, _ := netip.ParsePrefix(r.Prefix) // written by CreateApplication; invalid where damaged, which Plan refuses
	return Application{
		ID: api.ApplicationID(r.ID), Owner: api.UserID(r.OwnerID), Name: r.Name, Cloud: r.Cloud, Wanted: ApplicationWanted(r.Wanted),
		State: api.State(r.State), Reason: r.Reason, Since: r.Since.UTC(), Revision: r.Revision, Settled: r.Settled,
		Incarnation: r.Incarnation, Prefix: prefix, ServiceBits: r.ServiceBits, Created: r.Created.UTC(),
	}
}

// Application gives an application by id whoever owns it, or ErrNotFound.
func (r *Read) Application(id api.ApplicationID) (Application, error) {
	row, err := r.applicationRow(id)
	return row.application(), err
}

func (r *Read) applicationRow(id api.ApplicationID) (applicationRow, error) {
	var row applicationRow
	err := r.db.First(&row, int64(id)).Error
	return row, rowError(err, "application %s", id)
}

// Applications gives a page of the applications by id, and where the next one begins (0: nowhere). Owner 0 means all.
func (r *Read) Applications(owner api.UserID, p Page) ([]Application, int64, error) {
	query := r.db
	if owner != 0 {
		query = query.Where("owner_id = ?", int64(owner))
	}
	rows, next, err := list(query, "id", p, func(r applicationRow) int64 { return r.ID })
	return convert(rows, applicationRow.application), next, err
}

// Unsettled gives the ids of all applications that need work: what is wanted is not there, a node is on its way or its
// address is not released, or an operation is open.
func (r *Read) Unsettled() ([]api.ApplicationID, error) {
	var ids []api.ApplicationID
	err := r.db.Raw(`SELECT id FROM applications a WHERE
		wanted = 'deleted'
		OR wanted = 'stopped' AND state NOT IN ('STOPPED', 'INIT')
		OR wanted = 'running' AND (state <> 'RUNNING' OR settled < revision OR NOT EXISTS (
			SELECT 1 FROM nodes n WHERE n.application_id = a.id AND n.service_id = 0 AND n.state NOT IN ('failed', 'deleting', 'gone')))
		OR EXISTS (SELECT 1 FROM nodes n WHERE n.application_id = a.id AND (
			n.state NOT IN ('ready', 'gone') OR n.state = 'ready' AND a.wanted <> 'running' OR n.state = 'gone' AND NOT n.released))
		OR EXISTS (SELECT 1 FROM volumes v WHERE v.application_id = a.id AND v.state NOT IN ('available', 'attached', 'orphan', 'gone'))
		OR EXISTS (SELECT 1 FROM operations o WHERE o.application_id = a.id AND o.state IN ('pending', 'running'))
		ORDER BY id`).Scan(&ids).Error
	return ids, rowError(err, "applications that need work")
}

// ApplicationFacts are counts that lists of applications show.
type ApplicationFacts struct {
	Services int        // not removed
	Manager  api.NodeID // the one that acts; "" where there is none
}

// ApplicationFacts gives the facts of some applications at once.
func (r *Read) ApplicationFacts(ids []api.ApplicationID) (map[api.ApplicationID]ApplicationFacts, error) {
	facts := make(map[api.ApplicationID]ApplicationFacts, len(ids))
	var services []struct {
		ID    api.ApplicationID
		Count int
	}
	err := r.db.Model(&serviceRow{}).Select("application_id AS id, count(*) AS count").
		Where("application_id IN ? AND wanted <> ?", ids, string(ServiceRemoved)).Group("application_id").Scan(&services).Error
	if err != nil {
		return nil, rowError(err, "count services")
	}
	for _, s := range services {
		facts[s.ID] = ApplicationFacts{Services: s.Count}
	}
	var managers []nodeRow
	if err := r.db.Where("application_id IN ?", ids).Where(actingManager).Find(&managers).Error; err != nil {
		return nil, rowError(err, "find managers")
	}
	for _, m := range managers {
		f := facts[api.ApplicationID(m.ApplicationID)]
		f.Manager = nodeID(m.Seq)
		facts[api.ApplicationID(m.ApplicationID)] = f
	}
	return facts, nil
}

// NewApplication is what CreateApplication needs to know.
type NewApplication struct {
	Owner       api.UserID
	Name        string
	Cloud       string
	Prefix      netip.Prefix // of the overlay
	ServiceBits int
}

// CreateApplication adds an application in INIT, wanted stopped. ErrExists when the owner has one of that name.
func (tx *Tx) CreateApplication(n NewApplication) (Application, error) {
	if _, err := vpn.NewPlan(n.Prefix, n.ServiceBits); err != nil {
		return Application{}, fmt.Errorf("application %q: %w", n.Name, err)
	}
	row := applicationRow{
		OwnerID: int64(n.Owner), Name: n.Name, Cloud: n.Cloud, Wanted: string(ApplicationStopped), State: string(api.StateInit),
		Since: tx.now, Revision: 1, Prefix: n.Prefix.String(), ServiceBits: n.ServiceBits, Created: tx.now,
	}
	if owner, err := tx.User(n.Owner); err != nil {
		return Application{}, err
	} else if !owner.Deleting.IsZero() { // by a request that was under way
		return Application{}, fmt.Errorf("user %q is being deleted: %w", owner.Name, ErrConflict)
	}
	if err := tx.freeName(&applicationRow{}, n.Name, 0, "owner_id = ?", int64(n.Owner)); err != nil {
		return Application{}, fmt.Errorf("application %q: %w", n.Name, err)
	}
	if err := tx.db.Create(&row).Error; err != nil {
		return Application{}, rowError(err, "application %q", n.Name)
	}
	a := row.application()
	tx.trail.about(a)
	_, err := tx.AddEvent(Event{Owner: a.Owner, Application: a.ID, Kind: "application.created", Text: fmt.Sprintf("application %q is created", a.Name)})
	return a, err
}

// RenameApplication gives it another name. ErrExists when the owner has one of that name.
func (tx *Tx) RenameApplication(id api.ApplicationID, name string) (Application, error) {
	return tx.changeApplication(id, func(row *applicationRow) error {
		tx.changed("name", row.Name, name)
		row.Name = name
		return tx.freeName(&applicationRow{}, name, row.ID, "owner_id = ?", row.OwnerID)
	})
}

// SetApplicationWanted says what the owner wants; deleted ends its shares. ErrConflict when it is to be deleted already.
func (tx *Tx) SetApplicationWanted(id api.ApplicationID, wanted ApplicationWanted) (Application, error) {
	return tx.changeApplication(id, func(row *applicationRow) error {
		if row.Wanted == string(ApplicationDeleted) && wanted != ApplicationDeleted {
			return fmt.Errorf("application %s is being deleted: %w", id, ErrConflict)
		}
		tx.changed("wanted", row.Wanted, string(wanted))
		row.Wanted = string(wanted)
		if wanted == ApplicationDeleted {
			return tx.deleteShares(row.ID)
		}
		return nil
	})
}

// changeApplication changes what is wanted of an application, and raises its revision.
func (tx *Tx) changeApplication(id api.ApplicationID, change func(*applicationRow) error) (Application, error) {
	row, err := tx.applicationRow(id)
	if err != nil {
		return Application{}, err
	}
	if err := change(&row); err != nil {
		return Application{}, err
	}
	row.Revision++
	if err := tx.db.Save(&row).Error; err != nil {
		return Application{}, rowError(err, "application %q", row.Name)
	}
	return row.application(), nil
}

// SetApplicationState records what is shown; Since and the history change only when state does. The revision stays.
func (tx *Tx) SetApplicationState(id api.ApplicationID, state api.State, reason string) error {
	row, err := tx.applicationRow(id)
	if err != nil {
		return err
	}
	changed := row.State != string(state)
	if !changed && row.Reason == reason {
		return nil
	}
	if changed {
		row.Since = tx.now
	}
	row.State, row.Reason = string(state), reason
	if err := tx.db.Save(&row).Error; err != nil || !changed {
		return rowError(err, "application %s", id)
	}
	_, err = tx.AddEvent(Event{
		Owner: api.UserID(row.OwnerID), Application: id, Kind: "application.state", Alarm: state == api.StateError,
		Text: withReason(fmt.Sprintf("application %q is %s", row.Name, state), reason),
	})
	return err
}

// SetSettled records that everything wanted up to a revision is there. It never goes back.
func (tx *Tx) SetSettled(id api.ApplicationID, revision uint64) error {
	return one(tx.db.Model(&applicationRow{}).Where("id = ?", int64(id)).
		Update("settled", maxOf("settled", revision)), "application %s", id)
}

// PurgeApplication forgets an application that is wanted deleted, with its services and nodes; its operations and
// events stay, and its orphaned volumes. An owner who waits for the end of the last one goes with it. ErrConflict while one of its
// nodes or other volumes is not gone.
func (tx *Tx) PurgeApplication(id api.ApplicationID) error {
	row, err := tx.applicationRow(id)
	if err != nil {
		return err
	}
	if row.Wanted != string(ApplicationDeleted) {
		return fmt.Errorf("application %s is not to be deleted: %w", id, ErrConflict)
	}
	alive, err := tx.countAlive("application_id = ?", int64(id))
	if err != nil {
		return err
	}
	if alive > 0 {
		return fmt.Errorf("application %s has %d nodes that are not gone: %w", id, alive, ErrConflict)
	}
	if err := tx.leaveVolumes(id); err != nil {
		return err
	}
	for _, table := range []any{&nodeRow{}, &serviceRow{}, &meterRow{}} {
		if err := tx.db.Delete(table, "application_id = ?", int64(id)).Error; err != nil {
			return rowError(err, "purge application %s", id)
		}
	}
	if err := tx.db.Delete(&row).Error; err != nil {
		return rowError(err, "purge application %s", id)
	}
	_, err = tx.AddEvent(Event{Owner: api.UserID(row.OwnerID), Application: id, Kind: "application.deleted", Text: fmt.Sprintf("application %q is deleted", row.Name)})
	if err != nil {
		return err
	}
	return tx.leaveWith(api.UserID(row.OwnerID))
}

func withReason(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + ": " + reason
}
