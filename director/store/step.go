package store

import (
	"fmt"
	"net/netip"

	"conpaas/client/api"
	"conpaas/director/store/life"
)

// NodeChange is what is learnt of a node with an event; zero members leave what is known.
type NodeChange struct {
	Reason      string // why it enters the state; when the state changes, "" clears the old reason
	Machine     string
	Address     netip.Addr
	Public      netip.Addr
	Runtime     string
	Published   map[uint16]string
	CSRKey      string
	BootID      string
	OverlayKey  api.OverlayKey
	DataPlane   string
	Version     string
	CodeVersion string
	Trust       string
}

// Step is the only way to change a node's state: it looks the event up in the table of lives and writes the new state with its
// time, what is learnt, and a line of the history when anything changed.
//
// An event that the state does not allow is life.ErrTransition. A machine id, once known, cannot be replaced (ErrConflict: the
// second machine is a duplicate to terminate), and a second key cannot join (ErrOtherKey). Launch begins an attempt and makes its
// join token valid; it stays so until the node is given up or deleted. A gone node that no other can know is released at
// once: it never joined, or it is a manager, or it was the application's last.
func (tx *Tx) Step(id api.NodeID, event life.NodeEvent, c NodeChange) (Node, error) {
	row, err := tx.nodeRow(id)
	if err != nil {
		return Node{}, err
	}
	from := api.NodeState(row.State)
	to, err := life.NextNode(from, event)
	if err != nil {
		return row.node(), fmt.Errorf("node %s: %w", id, err)
	}
	noted := to != from || event == life.NodeDrained && !row.Drained || c.Reason != "" && c.Reason != row.Reason || c.Machine != row.Machine && c.Machine != ""
	if err := row.learn(c); err != nil {
		return Node{}, err
	}
	if to != from {
		row.State, row.Since, row.Reason = string(to), tx.now, c.Reason
	}
	switch event {
	case life.NodeLaunch:
		row.Attempt++
		row.JoinTokenHash = hashText(joinToken(tx.box, row.node().MachineToken()).Reveal())
	case life.NodeRetry:
		if row.Machine != "" {
			return Node{}, fmt.Errorf("node %s: event %s although machine %s exists: %w", id, event, row.Machine, ErrConflict)
		}
	case life.NodeLaunched:
		if row.Machine == "" {
			return Node{}, fmt.Errorf("node %s: event %s without the machine's id: %w", id, event, ErrConflict)
		}
	case life.NodeJoined:
		if row.CSRKey == "" {
			return Node{}, fmt.Errorf("node %s: event %s without a key: %w", id, event, ErrConflict)
		}
	case life.NodeDrained:
		row.Drained = true
	}
	switch to {
	case api.NodeWanted, api.NodeFailed, api.NodeDeleting:
		row.JoinTokenHash = ""
	case api.NodeGone:
		row.Released = row.Released || row.OverlayKey == "" || row.ServiceID == 0
	}
	if err := tx.saveNode(&row); err != nil {
		return Node{}, err
	}
	if to == api.NodeGone {
		if err := tx.releaseLast(&row); err != nil {
			return Node{}, err
		}
	}
	if err := tx.meterStep(row, from, event); err != nil {
		return Node{}, err
	}
	if noted {
		err = tx.nodeEvent(row, event, from != to)
	}
	return row.node(), err
}

// UpdateNode records what is learnt of a node without an event, for example its address after a reboot.
func (tx *Tx) UpdateNode(id api.NodeID, c NodeChange) (Node, error) {
	row, err := tx.nodeRow(id)
	if err != nil {
		return Node{}, err
	}
	if row.State == string(api.NodeGone) {
		return row.node(), fmt.Errorf("node %s is gone: %w", id, ErrConflict)
	}
	if err := row.learn(c); err != nil {
		return Node{}, err
	}
	return row.node(), tx.saveNode(&row)
}

// ReleaseNode records that every other node has taken note of the end of this one. ErrConflict when it is not being deleted or gone.
func (tx *Tx) ReleaseNode(id api.NodeID) error {
	row, err := tx.nodeRow(id)
	if err != nil {
		return err
	}
	if s := api.NodeState(row.State); s != api.NodeDeleting && s != api.NodeGone {
		return fmt.Errorf("node %s is %s and cannot be released: %w", id, s, ErrConflict)
	}
	row.Released = true
	return tx.saveNode(&row)
}

// learn puts what c knows into the row.
func (r *nodeRow) learn(c NodeChange) error {
	id := nodeID(r.Seq)
	if c.Machine != "" && r.Machine != "" && c.Machine != r.Machine {
		return fmt.Errorf("node %s has machine %s, not %s too: %w", id, r.Machine, c.Machine, ErrConflict)
	}
	if c.CSRKey != "" && r.CSRKey != "" && c.CSRKey != r.CSRKey {
		return fmt.Errorf("node %s: %w", id, ErrOtherKey)
	}
	for _, f := range []struct {
		to    *string
		value string
	}{
		{&r.Reason, c.Reason},
		{&r.Machine, c.Machine},
		{&r.Address, formatAddress(c.Address)},
		{&r.PublicAddress, formatAddress(c.Public)},
		{&r.Runtime, c.Runtime},
		{&r.CSRKey, c.CSRKey},
		{&r.BootID, c.BootID},
		{&r.OverlayKey, string(c.OverlayKey)},
		{&r.DataPlane, c.DataPlane},
		{&r.Version, c.Version},
		{&r.CodeVersion, c.CodeVersion},
		{&r.Trust, c.Trust},
	} {
		if f.value != "" {
			*f.to = f.value
		}
	}
	if c.Published != nil {
		r.Published = c.Published
	}
	return nil
}

func (tx *Tx) saveNode(row *nodeRow) error {
	return rowError(tx.db.Save(row).Error, "node %s (machine %q on cloud %s)", nodeID(row.Seq), row.Machine, row.Cloud)
}

// releaseLast releases every address of an application whose last node is gone: nobody is left who could confuse them.
func (tx *Tx) releaseLast(row *nodeRow) error {
	alive, err := tx.countAlive("application_id = ?", row.ApplicationID)
	if err != nil || alive > 0 {
		return err
	}
	row.Released = true
	err = tx.db.Model(&nodeRow{}).Where("application_id = ? AND NOT released", row.ApplicationID).Update("released", true).Error
	return rowError(err, "release the addresses of application %d", row.ApplicationID)
}

func (tx *Tx) nodeEvent(row nodeRow, event life.NodeEvent, changed bool) error {
	kind := "node." + string(event)
	text := fmt.Sprintf("node %s (%s): %s", nodeID(row.Seq), row.Role, event)
	if changed {
		kind = "node." + row.State
		text = fmt.Sprintf("node %s (%s) is %s", nodeID(row.Seq), row.Role, row.State)
	}
	state := api.NodeState(row.State)
	_, err := tx.AddEvent(Event{
		Application: api.ApplicationID(row.ApplicationID), Service: api.ServiceID(row.ServiceID), Node: nodeID(row.Seq), Kind: kind,
		Text: withReason(text, row.Reason), Alarm: changed && (state == api.NodeFailed || state == api.NodeUnreachable),
	})
	return err
}
