package store

import (
	"fmt"
	"time"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

// VolumeChange is what is learnt of a volume with an event.
type VolumeChange struct {
	Reason  string        // why; "" clears the old reason
	Volume  string        // of created: the cloud's id
	Machine string        // of attach: that of the node
	Device  string        // of attached
	Keep    time.Duration // of abandon: how long it is kept
	Origin  string        // of abandon: what it belonged to
}

// StepVolume is the only way to change a volume's state: it looks the event up in the table of lives and writes the new state with
// its time, what is learnt, and a line of the history when the state changed. An event that the state does not allow is
// life.ErrTransition. Created gives ErrConflict when another id is known: the second volume is a duplicate.
func (tx *Tx) StepVolume(id api.VolumeID, event life.VolumeEvent, c VolumeChange) (Volume, error) {
	row, err := tx.volumeRow(id)
	if err != nil {
		return Volume{}, err
	}
	from := api.VolumeState(row.State)
	to, err := life.NextVolume(from, event)
	if err != nil {
		return row.volume(), fmt.Errorf("volume %s: %w", id, err)
	}
	switch event {
	case life.VolumeCreated:
		if c.Volume == "" || row.Volume != "" && row.Volume != c.Volume {
			return row.volume(), fmt.Errorf("volume %s has the id %q at its cloud, not %q: %w", id, row.Volume, c.Volume, ErrConflict)
		}
		row.Volume = c.Volume
	case life.VolumeAttach:
		if row.Holder != "" && row.Holder != row.Node || row.Node == "" {
			return row.volume(), fmt.Errorf("volume %s is at node %q and wanted by %q: %w", id, row.Holder, row.Node, ErrConflict)
		}
		row.Holder, row.Machine, row.Device = row.Node, c.Machine, ""
	case life.VolumeAttached:
		row.Device = c.Device
	case life.VolumeDetached:
		row.Holder, row.Machine, row.Device = "", "", ""
	case life.VolumeAbandon:
		row.ServiceID, row.Role, row.Node, row.Automatic, row.SuccessorAfter = 0, "", "", false, 0
		row.Origin, row.Until = c.Origin, stamp(tx.now.Add(c.Keep))
	case life.VolumeDelete:
		row.Node = ""
	}
	row.Reason = c.Reason
	if to != from {
		tx.changed("volume "+row.label(), row.State, string(to))
		row.State, row.Since = string(to), tx.now
	}
	if err := tx.saveVolume(&row); err != nil || to == from {
		return row.volume(), err
	}
	return row.volume(), tx.volumeEvent(row)
}

// NoteVolume records why a volume is not where it is to be yet.
func (tx *Tx) NoteVolume(id api.VolumeID, reason string) error {
	row, err := tx.volumeRow(id)
	if err != nil || row.Reason == reason {
		return err
	}
	row.Reason = reason
	return tx.saveVolume(&row)
}

// AssignVolume says which node is to have a volume, and whose successors after it; a node "" leaves the service and the role, whose next
// new machine gets it. It raises nothing: who needs a new revision of the application asks for one.
func (tx *Tx) AssignVolume(id api.VolumeID, node api.NodeID, service api.ServiceID, role api.Role) (Volume, error) {
	row, err := tx.volumeRow(id)
	if err != nil {
		return Volume{}, err
	}
	if node == "" {
		err := tx.db.Model(&nodeRow{}).Select("COALESCE(max(seq), 0)").Where("application_id = ?", row.ApplicationID).Scan(&row.SuccessorAfter).Error
		if err != nil {
			return Volume{}, rowError(err, "newest node of application %d", row.ApplicationID)
		}
	}
	tx.changed("machine of volume "+row.label(), row.Node, string(node))
	row.Node, row.ServiceID, row.Role, row.Reason = string(node), int64(service), string(role), ""
	return row.volume(), tx.saveVolume(&row)
}

// RestoreVolume gives an orphan to an application, as a volume of its users.
func (tx *Tx) RestoreVolume(id api.VolumeID, application api.ApplicationID, name string) (Volume, error) {
	a, err := tx.applicationRow(application)
	if err != nil {
		return Volume{}, err
	}
	if a.Wanted == string(ApplicationDeleted) {
		return Volume{}, fmt.Errorf("application %s is being deleted: %w", application, ErrConflict)
	}
	if err := tx.roomForVolume(a, name); err != nil {
		return Volume{}, err
	}
	if _, err := tx.StepVolume(id, life.VolumeRestore, VolumeChange{}); err != nil {
		return Volume{}, err
	}
	row, err := tx.volumeRow(id)
	if err != nil {
		return Volume{}, err
	}
	row.OwnerID, row.ApplicationID, row.Name, row.Mount, row.Origin, row.Until = a.OwnerID, a.ID, name, name, "", nil
	return row.volume(), tx.saveVolume(&row)
}

// AdoptVolume records a volume that a cloud lists and no row knows, as an orphan of nobody: a database that was put back may have
// forgotten what is on it. ErrExists when it is known meanwhile.
func (tx *Tx) AdoptVolume(cloud, token, volume string, sizeMiB int, keep time.Duration) (Volume, error) {
	row := volumeRow{
		Name: "found", Mount: "found", Cloud: cloud, SizeMiB: sizeMiB, Token: token, Volume: volume, State: string(api.VolumeOrphan), Since: tx.now,
		Origin: "found on the cloud, not in the database", Until: stamp(tx.now.Add(keep)), Created: tx.now,
	}
	if err := tx.db.Create(&row).Error; err != nil {
		return Volume{}, rowError(err, "volume %q of cloud %q", volume, cloud)
	}
	return row.volume(), tx.volumeEvent(row)
}

// leaveVolumes lets the orphans and what is being destroyed of an application go without it. ErrConflict while it has others.
func (tx *Tx) leaveVolumes(id api.ApplicationID) error {
	var others int64
	err := tx.db.Model(&volumeRow{}).Where("application_id = ? AND "+belongs, int64(id)).Count(&others).Error
	if err != nil {
		return rowError(err, "volumes of application %s", id)
	}
	if others > 0 {
		return fmt.Errorf("application %s has %d volumes that are no orphans: %w", id, others, ErrConflict)
	}
	err = tx.db.Model(&volumeRow{}).Where("application_id = ?", int64(id)).Update("application_id", 0).Error
	return rowError(err, "volumes of application %s", id)
}

// endVolumes ends the grace of a user's orphans.
func (tx *Tx) endVolumes(owner api.UserID) error {
	err := tx.db.Model(&volumeRow{}).Where("owner_id = ? AND state = 'orphan'", int64(owner)).Update("until", tx.now).Error
	return rowError(err, "orphans of user %d", owner)
}
