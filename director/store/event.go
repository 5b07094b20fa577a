package store

import (
	"time"

	"conpaas/client/api"
)

// Event is one line of the history. Events are never changed; Prune removes old ones.
type Event struct {
	ID          int64 // set by the store, as Time is
	Time        time.Time
	Owner       api.UserID // who may see it; set from Application where it is 0
	Application api.ApplicationID
	Service     api.ServiceID
	Node        api.NodeID
	Operation   api.OperationID
	Kind        string // for programs, for example node.ready
	Text        string // for people
	Alarm       bool   // somebody should look at it
}

type eventRow struct {
	ID            int64 `gorm:"primaryKey;autoIncrement"`
	Time          time.Time
	OwnerID       int64
	ApplicationID int64
	ServiceID     int64
	NodeSeq       int64
	OperationSeq  int64
	Kind          string
	Text          string
	Alarm         bool
}

func (eventRow) TableName() string { return "events" }

func (r eventRow) event() Event {
	e := Event{
		ID: r.ID, Time: r.Time.UTC(), Owner: api.UserID(r.OwnerID), Application: api.ApplicationID(r.ApplicationID),
		Service: api.ServiceID(r.ServiceID), Kind: r.Kind, Text: r.Text, Alarm: r.Alarm,
	}
	if r.NodeSeq != 0 {
		e.Node = nodeID(r.NodeSeq)
	}
	if r.OperationSeq != 0 {
		e.Operation = operationID(r.OperationSeq)
	}
	return e
}

// Events gives a page of the events by id, and where the next one begins (0: nowhere). Application 0 means all.
func (r *Read) Events(application api.ApplicationID, p Page) ([]Event, int64, error) {
	query := r.db
	if application != 0 {
		query = query.Where("application_id = ?", int64(application))
	}
	rows, next, err := list(query, "id", p, func(r eventRow) int64 { return r.ID })
	return convert(rows, eventRow.event), next, err
}

// EventsOf gives a page of the events that a user may see by id, and where the next one begins (0: nowhere).
func (r *Read) EventsOf(owner api.UserID, p Page) ([]Event, int64, error) {
	rows, next, err := list(r.db.Where("owner_id = ?", int64(owner)), "id", p, func(r eventRow) int64 { return r.ID })
	return convert(rows, eventRow.event), next, err
}

// AddEvent writes a line of the history, which is published after the commit.
func (tx *Tx) AddEvent(e Event) (Event, error) {
	node, err := nodeSeq(e.Node)
	if e.Node != "" && err != nil {
		return Event{}, err
	}
	operation, err := operationSeq(e.Operation)
	if e.Operation != "" && err != nil {
		return Event{}, err
	}
	if e.Owner == 0 && e.Application != 0 {
		if e.Owner, err = tx.ownerOf(e.Application); err != nil {
			return Event{}, err
		}
	}
	row := eventRow{
		Time: tx.now, OwnerID: int64(e.Owner), ApplicationID: int64(e.Application), ServiceID: int64(e.Service),
		NodeSeq: node, OperationSeq: operation, Kind: e.Kind, Text: e.Text, Alarm: e.Alarm,
	}
	if err := tx.db.Create(&row).Error; err != nil {
		return Event{}, rowError(err, "event %s", e.Kind)
	}
	e = row.event()
	tx.events = append(tx.events, e)
	return e, nil
}

// ownerOf gives the owner of an application, 0 when it is forgotten already.
func (tx *Tx) ownerOf(id api.ApplicationID) (api.UserID, error) {
	if owner, ok := tx.owners[id]; ok {
		return owner, nil
	}
	var owners []int64
	if err := tx.db.Model(&applicationRow{}).Where("id = ?", int64(id)).Pluck("owner_id", &owners).Error; err != nil {
		return 0, rowError(err, "owner of application %s", id)
	}
	if len(owners) == 0 {
		return 0, nil
	}
	tx.owners[id] = api.UserID(owners[0])
	return tx.owners[id], nil
}
