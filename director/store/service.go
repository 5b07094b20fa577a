package store

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"gorm.io/gorm"

	"conpaas/client/api"
)

// ServiceWanted is what the owner wants of a service.
type ServiceWanted string

// What may be wanted of a service. Removed is final.
const (
	ServiceStarted ServiceWanted = "started"
	ServiceStopped ServiceWanted = "stopped"
	ServiceRemoved ServiceWanted = "removed"
)

// Service is what the owner wants of one service, and how it is.
type Service struct {
	Application api.ApplicationID
	ID          api.ServiceID // from 1 in its application, never reused there
	Type        api.ServiceType
	Name        string // unique in the application
	Cloud       string
	Wanted      ServiceWanted
	State       api.State // shown
	Reason      string
	Since       time.Time
	Nodes       map[api.Role]int // wanted dedicated machines
	Settings    map[string]string
	Partition   int // of the application's network
	Created     time.Time
	CodeWanted  string // version of its code that is to serve; "" where the type hosts no code
	CodeServing string // version that served last
}

type serviceRow struct {
	ApplicationID  int64 `gorm:"primaryKey;autoIncrement:false"`
	ID             int64 `gorm:"primaryKey;autoIncrement:false"`
	Type           string
	Name           string
	Cloud          string
	Wanted         string
	State          string
	Reason         string
	Since          time.Time
	Nodes          map[api.Role]int  `gorm:"serializer:json"`
	Settings       map[string]string `gorm:"serializer:json"`
	PartitionIndex int
	Created        time.Time
	CodeWanted     string
	CodeServing    string
}

func (serviceRow) TableName() string { return "services" }

func (r serviceRow) service() Service {
	return Service{
		Application: api.ApplicationID(r.ApplicationID), ID: api.ServiceID(r.ID), Type: api.ServiceType(r.Type), Name: r.Name, Cloud: r.Cloud,
		Wanted: ServiceWanted(r.Wanted), State: api.State(r.State), Reason: r.Reason, Since: r.Since.UTC(),
		Nodes: maps.Clone(r.Nodes), Settings: maps.Clone(r.Settings), Partition: r.PartitionIndex, Created: r.Created.UTC(),
		CodeWanted: r.CodeWanted, CodeServing: r.CodeServing,
	}
}

// Service gives a service by ids, or ErrNotFound.
func (r *Read) Service(application api.ApplicationID, id api.ServiceID) (Service, error) {
	row, err := r.serviceRow(application, id)
	return row.service(), err
}

func (r *Read) serviceRow(application api.ApplicationID, id api.ServiceID) (serviceRow, error) {
	var row serviceRow
	err := r.db.First(&row, "application_id = ? AND id = ?", int64(application), int64(id)).Error
	return row, rowError(err, "service %s of application %s", id, application)
}

// FindService gives the service with that id in decimal or that name, or ErrNotFound.
func (r *Read) FindService(application api.ApplicationID, ref string) (Service, error) {
	var row serviceRow
	err := named(r.db.Where("application_id = ?", int64(application)), ref).First(&row).Error
	return row.service(), rowError(err, "service %q", ref)
}

// Services gives all services of an application by id; those that are being removed are among them.
func (r *Read) Services(application api.ApplicationID) ([]Service, error) {
	var rows []serviceRow
	err := r.db.Where("application_id = ?", int64(application)).Order("id").Find(&rows).Error
	return convert(rows, serviceRow.service), rowError(err, "services of application %s", application)
}

// ServicePage gives a page of the services of an application by id, and where the next one begins (0: nowhere).
func (r *Read) ServicePage(application api.ApplicationID, p Page) ([]Service, int64, error) {
	query := r.db.Where("application_id = ?", int64(application))
	rows, next, err := list(query, "id", p, func(r serviceRow) int64 { return r.ID })
	return convert(rows, serviceRow.service), next, err
}

// NewService is what CreateService needs to know.
type NewService struct {
	Type     api.ServiceType
	Name     string
	Cloud    string
	Nodes    map[api.Role]int
	Settings map[string]string
	Code     string // first version of its code, which serves from the beginning; "": the type hosts no code
}

// CreateService adds a service in INIT, wanted stopped, with the lowest partition of the network that is free. ErrExists when
// the name is taken, ErrQuota when no partition is left, ErrConflict when the application is being deleted.
func (tx *Tx) CreateService(application api.ApplicationID, n NewService) (Service, error) {
	row, err := tx.applicationRow(application)
	if err != nil {
		return Service{}, err
	}
	if row.Wanted == string(ApplicationDeleted) {
		return Service{}, fmt.Errorf("application %s is being deleted: %w", application, ErrConflict)
	}
	partition, err := tx.freePartition(row.application())
	if err != nil {
		return Service{}, err
	}
	if err := tx.freeName(&serviceRow{}, n.Name, 0, "application_id = ?", row.ID); err != nil {
		return Service{}, fmt.Errorf("service %q in application %q: %w", n.Name, row.Name, err)
	}
	row.LastService++
	service := serviceRow{
		ApplicationID: row.ID, ID: row.LastService, Type: string(n.Type), Name: n.Name, Cloud: n.Cloud,
		Wanted: string(ServiceStopped), State: string(api.StateInit), Since: tx.now,
		Nodes: n.Nodes, Settings: n.Settings, PartitionIndex: partition, Created: tx.now,
		CodeWanted: n.Code, CodeServing: n.Code,
	}
	if err := tx.db.Create(&service).Error; err != nil {
		return Service{}, rowError(err, "service %q in application %q", n.Name, row.Name)
	}
	if n.Code != "" {
		first := codeVersionRow{ApplicationID: service.ApplicationID, ServiceID: service.ID, ID: n.Code, Created: tx.now}
		if err := tx.db.Create(&first).Error; err != nil {
			return Service{}, rowError(err, "code version %q", n.Code)
		}
	}
	row.Revision++
	if err := tx.db.Save(&row).Error; err != nil {
		return Service{}, rowError(err, "application %s", application)
	}
	tx.changed("service", "", fmt.Sprintf("%s (%d), %s", service.Name, service.ID, service.Type))
	return service.service(), tx.serviceEvent(service, "service.created", fmt.Sprintf("service %q (%s) is created", n.Name, n.Type), false)
}

// RenameService gives it another name. ErrExists when the name is taken in the application.
func (tx *Tx) RenameService(application api.ApplicationID, id api.ServiceID, name string) (Service, error) {
	if err := tx.freeName(&serviceRow{}, name, int64(id), "application_id = ?", int64(application)); err != nil {
		return Service{}, fmt.Errorf("service %q: %w", name, err)
	}
	return tx.changeService(application, id, func(row *serviceRow) {
		tx.changed("name", row.Name, name)
		row.Name = name
	})
}

// SetServiceWanted says what the owner wants. Removed is final: after it everything is ErrConflict.
func (tx *Tx) SetServiceWanted(application api.ApplicationID, id api.ServiceID, wanted ServiceWanted) (Service, error) {
	return tx.changeService(application, id, func(row *serviceRow) {
		tx.changed("service "+row.Name, row.Wanted, string(wanted))
		row.Wanted = string(wanted)
	})
}

// SetServiceNodes says how many dedicated machines are wanted per role.
func (tx *Tx) SetServiceNodes(application api.ApplicationID, id api.ServiceID, nodes map[api.Role]int) (Service, error) {
	return tx.changeService(application, id, func(row *serviceRow) {
		for _, role := range slices.Sorted(maps.Keys(nodes)) {
			tx.changed("nodes of role "+string(role), strconv.Itoa(row.Nodes[role]), strconv.Itoa(nodes[role]))
		}
		row.Nodes = nodes
	})
}

// SetServiceSettings replaces the settings.
func (tx *Tx) SetServiceSettings(application api.ApplicationID, id api.ServiceID, settings map[string]string) (Service, error) {
	return tx.changeService(application, id, func(row *serviceRow) {
		for _, name := range slices.Sorted(maps.Keys(settings)) {
			tx.changed("setting "+name, row.Settings[name], settings[name])
		}
		row.Settings = settings
	})
}

// changeService changes what is wanted of a service, and raises the application's revision.
func (tx *Tx) changeService(application api.ApplicationID, id api.ServiceID, change func(*serviceRow)) (Service, error) {
	row, err := tx.serviceRow(application, id)
	if err != nil {
		return Service{}, err
	}
	removed := row.Wanted == string(ServiceRemoved)
	change(&row)
	if removed {
		return Service{}, fmt.Errorf("service %q is being removed: %w", row.Name, ErrConflict)
	}
	if err := tx.db.Save(&row).Error; err != nil {
		return Service{}, rowError(err, "service %q", row.Name)
	}
	err = one(tx.db.Model(&applicationRow{}).Where("id = ?", int64(application)).
		Update("revision", gorm.Expr("revision + 1")), "application %s", application)
	return row.service(), err
}

// SetServiceState records what is shown; Since and the history change only when state does. The revision stays.
func (tx *Tx) SetServiceState(application api.ApplicationID, id api.ServiceID, state api.State, reason string) error {
	row, err := tx.serviceRow(application, id)
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
		return rowError(err, "service %q", row.Name)
	}
	return tx.serviceEvent(row, "service.state", withReason(fmt.Sprintf("service %q is %s", row.Name, state), reason), state == api.StateError)
}

// PurgeService forgets a service that is wanted removed. ErrConflict while one of its nodes is not gone. Its partition is
// given to another service only when the last of its addresses is released.
func (tx *Tx) PurgeService(application api.ApplicationID, id api.ServiceID) error {
	row, err := tx.serviceRow(application, id)
	if err != nil {
		return err
	}
	if row.Wanted != string(ServiceRemoved) {
		return fmt.Errorf("service %q is not to be removed: %w", row.Name, ErrConflict)
	}
	alive, err := tx.countAlive("application_id = ? AND service_id = ?", int64(application), int64(id))
	if err != nil {
		return err
	}
	if alive > 0 {
		return fmt.Errorf("service %q has %d nodes that are not gone: %w", row.Name, alive, ErrConflict)
	}
	if err := tx.db.Delete(&row).Error; err != nil {
		return rowError(err, "purge service %q", row.Name)
	}
	return tx.serviceEvent(row, "service.removed", fmt.Sprintf("service %q is removed", row.Name), false)
}

func (tx *Tx) serviceEvent(row serviceRow, kind, text string, alarm bool) error {
	_, err := tx.AddEvent(Event{
		Application: api.ApplicationID(row.ApplicationID), Service: api.ServiceID(row.ID), Kind: kind, Text: text, Alarm: alarm,
	})
	return err
}
