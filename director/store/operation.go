package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

// Operation is a piece of long work that outlives a restart.
type Operation struct {
	ID          api.OperationID // "op" + number, never reused
	Kind        api.OperationKind
	Owner       api.UserID
	Application api.ApplicationID
	Service     api.ServiceID
	State       api.OperationState // changed by StepOperation only
	Revision    uint64             // of the application's spec that it waits for
	Params      json.RawMessage    // what the work needs to know to be resumed; its own form
	Progress    string
	Steps       []OperationStep
	Failure     *Failure
	Created     time.Time
	Ended       time.Time // zero until State is final
}

// OperationStep is one thing that happened in an operation.
type OperationStep struct {
	Time time.Time `json:"time"`
	Text string    `json:"text"`
}

// Failure is why an operation did not succeed.
type Failure struct {
	Code   api.Code `json:"code"`
	Detail string   `json:"detail"`
	Field  string   `json:"field,omitempty"`
}

type operationRow struct {
	Seq           int64 `gorm:"primaryKey;autoIncrement"`
	Kind          string
	OwnerID       int64
	ApplicationID int64
	ServiceID     int64
	State         string
	Revision      uint64
	Params        string
	Progress      string
	Steps         []OperationStep `gorm:"serializer:json"`
	Failure       *Failure        `gorm:"serializer:json"`
	Created       time.Time
	Ended         *time.Time
}

func (operationRow) TableName() string { return "operations" }

func (r operationRow) operation() Operation {
	return Operation{
		ID: operationID(r.Seq), Kind: api.OperationKind(r.Kind), Owner: api.UserID(r.OwnerID), Application: api.ApplicationID(r.ApplicationID),
		Service: api.ServiceID(r.ServiceID), State: api.OperationState(r.State), Revision: r.Revision, Params: json.RawMessage(r.Params),
		Progress: r.Progress, Steps: r.Steps, Failure: r.Failure, Created: r.Created.UTC(), Ended: utc(r.Ended),
	}
}

func operationID(seq int64) api.OperationID {
	return api.OperationID("op" + strconv.FormatInt(seq, 10))
}

func operationSeq(id api.OperationID) (int64, error) { return sequence(string(id), "op") }

// Operation gives an operation by id whoever owns it, or ErrNotFound.
func (r *Read) Operation(id api.OperationID) (Operation, error) {
	row, err := r.operationRow(id)
	return row.operation(), err
}

func (r *Read) operationRow(id api.OperationID) (operationRow, error) {
	seq, err := operationSeq(id)
	if err != nil {
		return operationRow{}, fmt.Errorf("operation %w", err)
	}
	var row operationRow
	err = r.db.First(&row, seq).Error
	return row, rowError(err, "operation %s", id)
}

// OpenOperations gives the operations that are not final, the oldest first. Application 0 means all.
func (r *Read) OpenOperations(application api.ApplicationID) ([]Operation, error) {
	query := r.db.Where("state IN ('pending', 'running')")
	if application != 0 {
		query = query.Where("application_id = ?", int64(application))
	}
	var rows []operationRow
	err := query.Order("seq").Find(&rows).Error
	return convert(rows, operationRow.operation), rowError(err, "open operations")
}

// NewestOperation gives the operation of a kind on a service that was created last, whatever its state, or ErrNotFound.
func (r *Read) NewestOperation(application api.ApplicationID, service api.ServiceID, kind api.OperationKind) (Operation, error) {
	var row operationRow
	err := r.db.Where("application_id = ? AND service_id = ? AND kind = ?", int64(application), int64(service), string(kind)).Order("seq DESC").First(&row).Error
	return row.operation(), rowError(err, "operation %s of service %s", kind, service)
}

// NewOperation is what CreateOperation needs to know.
type NewOperation struct {
	Kind        api.OperationKind
	Owner       api.UserID // 0: the application's
	Application api.ApplicationID
	Service     api.ServiceID
	Revision    uint64
	Params      json.RawMessage // nil: none
}

// CreateOperation adds an operation in state pending.
func (tx *Tx) CreateOperation(n NewOperation) (Operation, error) {
	if n.Owner == 0 {
		var err error
		if n.Owner, err = tx.ownerOf(n.Application); err != nil {
			return Operation{}, err
		}
	}
	row := operationRow{
		Kind: string(n.Kind), OwnerID: int64(n.Owner), ApplicationID: int64(n.Application), ServiceID: int64(n.Service),
		State: string(api.OperationPending), Revision: n.Revision, Params: string(n.Params), Created: tx.now,
	}
	if err := tx.db.Create(&row).Error; err != nil {
		return Operation{}, rowError(err, "operation %s", n.Kind)
	}
	tx.changed("operation", "", fmt.Sprintf("%s, %s", operationID(row.Seq), row.Kind))
	return row.operation(), tx.operationEvent(row)
}

// StepOperation is the only way to change an operation's state; the table of lives says what is possible, else life.ErrTransition.
// failure is kept where it is not nil.
func (tx *Tx) StepOperation(id api.OperationID, event life.OperationEvent, failure *Failure) (Operation, error) {
	row, err := tx.operationRow(id)
	if err != nil {
		return Operation{}, err
	}
	from := api.OperationState(row.State)
	to, err := life.NextOperation(from, event)
	if err != nil {
		return row.operation(), fmt.Errorf("operation %s: %w", id, err)
	}
	if to == from {
		return row.operation(), nil
	}
	tx.changed("operation "+string(id), string(from), string(to))
	row.State = string(to)
	if to.Final() {
		row.Ended = stamp(tx.now)
	}
	if failure != nil {
		row.Failure = failure
	}
	if err := tx.db.Save(&row).Error; err != nil {
		return Operation{}, rowError(err, "operation %s", id)
	}
	return row.operation(), tx.operationEvent(row)
}

// longestSteps bounds the steps that are kept of an operation; the history has them all.
const longestSteps = 200

// NoteOperation replaces the progress text where it is not empty and adds a step where step is not empty. ErrConflict when the
// operation has ended.
func (tx *Tx) NoteOperation(id api.OperationID, progress, step string) (Operation, error) {
	row, err := tx.operationRow(id)
	if err != nil {
		return Operation{}, err
	}
	if api.OperationState(row.State).Final() {
		return row.operation(), fmt.Errorf("operation %s has ended: %w", id, ErrConflict)
	}
	if progress != "" {
		row.Progress = progress
	}
	if step != "" {
		row.Steps = append(row.Steps, OperationStep{Time: tx.now, Text: step})
		row.Steps = row.Steps[max(0, len(row.Steps)-longestSteps):]
	}
	return row.operation(), rowError(tx.db.Save(&row).Error, "operation %s", id)
}

func (tx *Tx) operationEvent(row operationRow) error {
	text := fmt.Sprintf("operation %s (%s) is %s", operationID(row.Seq), row.Kind, row.State)
	if row.Failure != nil {
		text = withReason(text, row.Failure.Detail)
	}
	_, err := tx.AddEvent(Event{
		Owner: api.UserID(row.OwnerID), Application: api.ApplicationID(row.ApplicationID), Service: api.ServiceID(row.ServiceID),
		Operation: operationID(row.Seq), Kind: "operation." + row.State, Text: text,
	})
	return err
}
