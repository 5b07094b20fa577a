package store

import (
	"fmt"
	"net/netip"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"conpaas/client/api"
	"conpaas/vpn"
)

// Limits bound how many machines there may be. They are checked in the transaction that reserves nodes.
type Limits struct {
	Cloud int // machines of this installation on the cloud; 0: no limit
	Total int // machines of this installation on all clouds; 0: no limit
}

// Reservation asks for nodes of one role of a service.
type Reservation struct {
	Application api.ApplicationID
	Service     api.ServiceID
	Role        api.Role
	Cloud       string
	Count       int
	Limits      Limits
}

// ReserveNodes makes Count rows in state wanted, each with the lowest slot of the service's partition that is free. It makes all
// or none: ErrQuota when addresses or a limit are used up, ErrCredit when the owner cannot pay, ErrConflict when the service is
// not wanted started.
func (tx *Tx) ReserveNodes(q Reservation) ([]Node, error) {
	application, err := tx.Application(q.Application)
	if err != nil {
		return nil, err
	}
	service, err := tx.Service(q.Application, q.Service)
	if err != nil {
		return nil, err
	}
	if application.Wanted != ApplicationRunning || service.Wanted != ServiceStarted {
		return nil, fmt.Errorf("nodes for service %q: it is not to run: %w", service.Name, ErrConflict)
	}
	if q.Count < 1 {
		return nil, fmt.Errorf("nodes for service %q: %d asked for, want 1 or more: %w", service.Name, q.Count, ErrConflict)
	}
	if err := tx.checkLimits(q.Cloud, q.Count, q.Limits); err != nil {
		return nil, err
	}
	plan, err := application.Plan()
	if err != nil {
		return nil, fmt.Errorf("application %s: %w", application.ID, err)
	}
	slots, err := tx.freeSlots(service, plan, q.Count)
	if err != nil {
		return nil, err
	}
	rows := make([]nodeRow, q.Count)
	for i, slot := range slots {
		overlay, err := plan.Address(service.Partition, slot)
		if err != nil {
			return nil, fmt.Errorf("service %q: %w", service.Name, err)
		}
		rows[i] = tx.wantedNode(q.Application, q.Service, q.Role, q.Cloud, service.Partition, slot, overlay)
	}
	return tx.insertNodes(rows)
}

// ReserveManager makes the row of a manager in state wanted and raises the application's incarnation. ErrExists while a manager
// acts: one that failed or is being deleted does not. ErrCredit when the owner cannot pay.
func (tx *Tx) ReserveManager(id api.ApplicationID, cloud string, l Limits) (Node, error) {
	row, err := tx.applicationRow(id)
	if err != nil {
		return Node{}, err
	}
	if row.Wanted != string(ApplicationRunning) {
		return Node{}, fmt.Errorf("manager of application %q: the application is not to run: %w", row.Name, ErrConflict)
	}
	if err := tx.checkLimits(cloud, 1, l); err != nil {
		return Node{}, err
	}
	plan, err := row.application().Plan()
	if err != nil {
		return Node{}, fmt.Errorf("application %s: %w", id, err)
	}
	manager := tx.wantedNode(id, 0, api.ManagerRole, cloud, plan.ServicesPerApplication()-1, 0, plan.Manager())
	nodes, err := tx.insertNodes([]nodeRow{manager})
	if err != nil {
		return Node{}, fmt.Errorf("manager of application %q: %w", row.Name, err)
	}
	row.Incarnation++
	return nodes[0], rowError(tx.db.Save(&row).Error, "application %s", id)
}

func (tx *Tx) wantedNode(app api.ApplicationID, service api.ServiceID, role api.Role, cloud string, partition, slot int, overlay netip.Addr) nodeRow {
	return nodeRow{
		ApplicationID: int64(app), ServiceID: int64(service), Role: string(role), Cloud: cloud, State: string(api.NodeWanted),
		Since: tx.now, PartitionIndex: partition, Slot: slot, Overlay: formatAddress(overlay), Created: tx.now,
	}
}

func (tx *Tx) insertNodes(rows []nodeRow) ([]Node, error) {
	const batch = 500 // SQLite bounds the variables of a statement
	if err := tx.db.CreateInBatches(&rows, batch).Error; err != nil {
		return nil, rowError(err, "node")
	}
	for _, row := range rows {
		if err := tx.nodeEvent(row, "", true); err != nil {
			return nil, err
		}
	}
	if err := tx.openMeters(rows); err != nil {
		return nil, err
	}
	return convert(rows, nodeRow.node), nil
}

func (tx *Tx) checkLimits(cloud string, more int, l Limits) error {
	if l.Cloud > 0 {
		n, err := tx.countAlive("cloud = ?", cloud)
		if err != nil {
			return err
		}
		if n+more > l.Cloud {
			return fmt.Errorf("cloud %s: %d machines and %d more are over its limit of %d; remove some, or have the administrator raise MAX_VMS of the cloud: %w", cloud, n, more, l.Cloud, ErrQuota)
		}
	}
	if l.Total > 0 {
		n, err := tx.countAlive("true")
		if err != nil {
			return err
		}
		if n+more > l.Total {
			return fmt.Errorf("%d machines and %d more are over the limit of %d for all clouds; remove some, or have the administrator raise MAX_VMS_ALL_CLOUDS in [iaas]: %w", n, more, l.Total, ErrQuota)
		}
	}
	return nil
}

// freeSlots gives the lowest count slots of the service's partition that no node holds.
func (tx *Tx) freeSlots(s Service, plan vpn.Plan, count int) ([]int, error) {
	var used []int
	err := tx.db.Model(&nodeRow{}).
		Where("application_id = ? AND partition_index = ? AND service_id <> 0 AND "+holdsAddress, int64(s.Application), s.Partition).
		Order("slot").Pluck("slot", &used).Error
	if err != nil {
		return nil, rowError(err, "addresses of service %q", s.Name)
	}
	if free := plan.AgentsPerService() - len(used); free < count {
		what := "no address left"
		if free > 0 {
			what = fmt.Sprintf("only %d addresses left, %d needed,", free, count)
		}
		return nil, fmt.Errorf("%s in service %s: %d used (VPN_SERVICE_BITS says how many): %w", what, s.Name, len(used), ErrQuota)
	}
	return lowestFree(used, 1, count), nil
}

// lowestFree gives the count lowest numbers from first on that are not in used, which is sorted.
func lowestFree(used []int, first, count int) []int {
	free := make([]int, 0, count)
	for n := first; len(free) < count; n++ {
		if len(used) > 0 && used[0] == n {
			used = used[1:]
			continue
		}
		free = append(free, n)
	}
	return free
}

// freePartition gives the lowest partition that no service has and in which no node holds an address.
func (tx *Tx) freePartition(a Application) (int, error) {
	plan, err := a.Plan()
	if err != nil {
		return 0, fmt.Errorf("application %s: %w", a.ID, err)
	}
	var used []int
	err = tx.db.Raw(`SELECT partition_index FROM services WHERE application_id = ?
		UNION SELECT partition_index FROM nodes WHERE application_id = ? AND service_id <> 0 AND `+holdsAddress+` ORDER BY 1`,
		int64(a.ID), int64(a.ID)).Scan(&used).Error
	if err != nil {
		return 0, rowError(err, "partitions of application %s", a.ID)
	}
	if len(used) >= plan.ServicesPerApplication() {
		return 0, fmt.Errorf("the network of application %q has room for %d services (VPN_SERVICE_BITS = %d), remove one, or raise that for applications that are created then: %w",
			a.Name, plan.ServicesPerApplication(), plan.ServiceBits(), ErrQuota)
	}
	return lowestFree(used, 0, 1)[0], nil
}

// maxOf is an SQL value: the larger one of a column and a number.
func maxOf(column string, n uint64) clause.Expr {
	return gorm.Expr("max("+column+", ?)", n)
}
