package store

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"conpaas/client/api"
)

// Node is one machine of an application, from the moment it is wanted.
type Node struct {
	ID          api.NodeID // "n" + number, never reused
	Application api.ApplicationID
	Service     api.ServiceID // 0 for the manager
	Role        api.Role
	Cloud       string
	State       api.NodeState // changed by Step only
	Reason      string
	Since       time.Time
	Attempt     int               // which machine the cloud is asked for, from 1; 0: it has not been asked
	Machine     string            // the cloud's id of the machine; once known it is never forgotten
	Address     netip.Addr        // on the cloud's network
	Public      netip.Addr        // reachable from outside of the cloud, if there is one
	Runtime     string            // for example container
	Published   map[uint16]string // port of the machine -> host:port for people
	Partition   int               // of the application's network
	Slot        int               // in the partition; 0 for the manager
	Overlay     netip.Addr        // address that follows from partition and slot
	Released    bool              // every other node has taken note of its end: its address may be given again once it is gone
	CSRKey      string            // hash of the key that has joined; another one is refused
	BootID      string
	OverlayKey  api.OverlayKey
	DataPlane   string
	Version     string // of the code that it runs
	CodeVersion string // of the code that its user-data names, which must stay downloadable
	Drained     bool   // it has no work left
	Created     time.Time
	Trust       string // name of what it was given by the CA; of user-data until it has joined
}

// IsManager tells whether it manages its application.
func (n Node) IsManager() bool { return n.Service == 0 }

// MachineToken names the machine of the present attempt in its cloud, for example "n12-1".
func (n Node) MachineToken() string { return string(n.ID) + "-" + strconv.Itoa(n.Attempt) }

type nodeRow struct {
	Seq            int64 `gorm:"primaryKey;autoIncrement"`
	ApplicationID  int64
	ServiceID      int64
	Role           string
	Cloud          string
	State          string
	Reason         string
	Since          time.Time
	Attempt        int
	Machine        string
	Address        string
	PublicAddress  string
	Runtime        string
	Published      map[uint16]string `gorm:"serializer:json"`
	PartitionIndex int
	Slot           int
	Overlay        string
	Released       bool
	JoinTokenHash  string
	CSRKey         string `gorm:"column:csr_key"`
	BootID         string
	OverlayKey     string
	DataPlane      string
	Version        string
	CodeVersion    string
	Drained        bool
	Created        time.Time
	Trust          string
}

func (nodeRow) TableName() string { return "nodes" }

func (r nodeRow) node() Node {
	return Node{
		ID: nodeID(r.Seq), Application: api.ApplicationID(r.ApplicationID), Service: api.ServiceID(r.ServiceID), Role: api.Role(r.Role),
		Cloud: r.Cloud, State: api.NodeState(r.State), Reason: r.Reason, Since: r.Since.UTC(), Attempt: r.Attempt,
		Machine: r.Machine, Address: address(r.Address), Public: address(r.PublicAddress), Runtime: r.Runtime, Published: r.Published,
		Partition: r.PartitionIndex, Slot: r.Slot, Overlay: address(r.Overlay), Released: r.Released,
		CSRKey: r.CSRKey, BootID: r.BootID, OverlayKey: api.OverlayKey(r.OverlayKey), DataPlane: r.DataPlane,
		Version: r.Version, CodeVersion: r.CodeVersion, Drained: r.Drained, Created: r.Created.UTC(), Trust: r.Trust,
	}
}

// Conditions on rows of nodes.
const (
	notGone       = "state <> 'gone'"
	holdsAddress  = "NOT (state = 'gone' AND released)"
	actingManager = "service_id = 0 AND state NOT IN ('failed', 'deleting', 'gone')"
)

func nodeID(seq int64) api.NodeID { return api.NodeID("n" + strconv.FormatInt(seq, 10)) }

func nodeSeq(id api.NodeID) (int64, error) { return sequence(string(id), "n") }

// sequence gives the number of an id that was made of a prefix and a number; others are ErrNotFound.
func sequence(id, prefix string) (int64, error) {
	digits, ok := strings.CutPrefix(id, prefix)
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 1 || prefix+strconv.FormatInt(n, 10) != id {
		return 0, fmt.Errorf("%q: %w", id, ErrNotFound)
	}
	return n, nil
}

// named limits a query to the thing with an id or a name. An id is written in one way only: 01 and +1 are names, which
// nothing has.
func named(query *gorm.DB, ref string) *gorm.DB {
	if id, err := sequence(ref, ""); err == nil {
		return query.Where("id = ?", id)
	}
	return query.Where("name = ?", ref)
}

// Node gives a node by id whoever owns it, or ErrNotFound. Gone ones are found until they are pruned.
func (r *Read) Node(id api.NodeID) (Node, error) {
	row, err := r.nodeRow(id)
	return row.node(), err
}

func (r *Read) nodeRow(id api.NodeID) (nodeRow, error) {
	seq, err := nodeSeq(id)
	if err != nil {
		return nodeRow{}, fmt.Errorf("node %w", err)
	}
	var row nodeRow
	err = r.db.First(&row, seq).Error
	return row, rowError(err, "node %s", id)
}

// NodeByMachineToken gives the node whose present attempt has that token, or ErrNotFound: then the machine is a stray.
func (r *Read) NodeByMachineToken(token string) (Node, error) {
	id, attempt, _ := strings.Cut(token, "-")
	n, err := r.Node(api.NodeID(id))
	if err != nil {
		return Node{}, err
	}
	if n.MachineToken() != id+"-"+attempt || n.Attempt == 0 {
		return Node{}, fmt.Errorf("node of machine %q: %w", token, ErrNotFound)
	}
	return n, nil
}

// NodeByJoinToken gives the node that may join with this token, or ErrNotFound: the token is wrong, of an earlier attempt, or the
// node was given up.
func (r *Read) NodeByJoinToken(id api.NodeID, token api.Secret) (Node, error) {
	row, err := r.nodeRow(id)
	if err != nil {
		return Node{}, err
	}
	if row.JoinTokenHash == "" || subtle.ConstantTimeCompare([]byte(row.JoinTokenHash), []byte(hashText(token.Reveal()))) != 1 {
		return Node{}, fmt.Errorf("join token of node %s: %w", id, ErrNotFound)
	}
	return row.node(), nil
}

// JoinToken gives the token that the user-data of the present attempt holds. It is made from the key file, so that a
// launch that is repeated after a crash gives its machine the same token; the database has only its hash.
func (s *Store) JoinToken(n Node) api.Secret { return joinToken(s.box, n.MachineToken()) }

func joinToken(b *box, machineToken string) api.Secret {
	return api.Secret(b.derive("join/" + machineToken))
}

func hashText(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// LiveNodes gives all nodes of an application that are not gone, its managers too, in the order of their making.
func (r *Read) LiveNodes(application api.ApplicationID) ([]Node, error) {
	return r.nodes("application_id = ? AND "+notGone, int64(application))
}

// HeldNodes gives what LiveNodes does, and the nodes that are being deleted or gone and whose end not every other node has
// taken note of.
func (r *Read) HeldNodes(application api.ApplicationID) (live, unreleased []Node, err error) {
	nodes, err := r.nodes("application_id = ? AND "+holdsAddress, int64(application))
	for _, n := range nodes {
		if n.State != api.NodeGone {
			live = append(live, n)
		}
		if !n.Released && (n.State == api.NodeDeleting || n.State == api.NodeGone) {
			unreleased = append(unreleased, n)
		}
	}
	return live, unreleased, err
}

// OverlayNodes gives the nodes that have joined an overlay and are not on their way out, of all applications, in the
// order of their making; only ID, Application and OverlayKey are filled.
func (r *Read) OverlayNodes() ([]Node, error) {
	var rows []nodeRow
	err := r.db.Select("seq", "application_id", "overlay_key").
		Where("overlay_key <> '' AND state NOT IN ('failed', 'deleting', 'gone')").Order("seq").Find(&rows).Error
	return convert(rows, func(row nodeRow) Node {
		return Node{ID: nodeID(row.Seq), Application: api.ApplicationID(row.ApplicationID), OverlayKey: api.OverlayKey(row.OverlayKey)}
	}), rowError(err, "overlay nodes")
}

// NodesOnCloud gives all nodes that are not gone on a cloud, for comparing with what the cloud lists.
func (r *Read) NodesOnCloud(cloud string) ([]Node, error) {
	return r.nodes("cloud = ? AND "+notGone, cloud)
}

func (r *Read) nodes(where string, args ...any) ([]Node, error) {
	var rows []nodeRow
	err := r.db.Where(where, args...).Order("seq").Find(&rows).Error
	return convert(rows, nodeRow.node), rowError(err, "nodes")
}

// Manager gives the node that manages the application, or ErrNotFound. One that failed or is being deleted does not.
func (r *Read) Manager(application api.ApplicationID) (Node, error) {
	var row nodeRow
	err := r.db.Where("application_id = ?", int64(application)).Where(actingManager).First(&row).Error
	return row.node(), rowError(err, "manager of application %s", application)
}

// NodePage gives a page of the nodes of an application that are not gone by number, and where the next one begins (0: nowhere).
// Service limits it to one service; -1 means all.
func (r *Read) NodePage(application api.ApplicationID, service api.ServiceID, p Page) ([]Node, int64, error) {
	query := r.db.Where("application_id = ? AND "+notGone, int64(application))
	if service >= 0 {
		query = query.Where("service_id = ?", int64(service))
	}
	rows, next, err := list(query, "seq", p, func(r nodeRow) int64 { return r.Seq })
	return convert(rows, nodeRow.node), next, err
}

// NodeCounts counts the nodes of an application that are not gone, per service and state.
func (r *Read) NodeCounts(application api.ApplicationID) (map[api.ServiceID]map[api.NodeState]int, error) {
	var rows []struct {
		ServiceID api.ServiceID
		State     api.NodeState
		Count     int
	}
	err := r.db.Model(&nodeRow{}).Select("service_id, state, count(*) AS count").
		Where("application_id = ? AND "+notGone, int64(application)).Group("service_id, state").Scan(&rows).Error
	if err != nil {
		return nil, rowError(err, "count nodes")
	}
	counts := map[api.ServiceID]map[api.NodeState]int{}
	for _, row := range rows {
		if counts[row.ServiceID] == nil {
			counts[row.ServiceID] = map[api.NodeState]int{}
		}
		counts[row.ServiceID][row.State] = row.Count
	}
	return counts, nil
}

// hasMachine is the condition on nodes whose machine may run and is to go on.
const hasMachine = "state NOT IN ('wanted', 'failed', 'deleting', 'gone')"

// NodesWithout gives the nodes of the installation that have or are getting a machine and whose Trust is another than this:
// their number, and the first ones.
func (r *Read) NodesWithout(trust string, most int) (count int, first []api.NodeID, err error) {
	var all int64
	var seqs []int64
	query := r.db.Model(&nodeRow{}).Where(hasMachine).Where("trust <> ?", trust).Session(&gorm.Session{})
	err = errors.Join(query.Count(&all).Error, query.Order("seq").Limit(most).Pluck("seq", &seqs).Error)
	for _, seq := range seqs {
		first = append(first, nodeID(seq))
	}
	return int(all), first, rowError(err, "nodes by trust")
}

// CloudCounts counts the nodes of the installation that are not gone, per cloud.
func (r *Read) CloudCounts() (map[string]int, error) {
	var rows []struct {
		Cloud string
		Count int
	}
	err := r.db.Model(&nodeRow{}).Select("cloud, count(*) AS count").Where(notGone).Group("cloud").Scan(&rows).Error
	counts := make(map[string]int, len(rows))
	for _, row := range rows {
		counts[row.Cloud] = row.Count
	}
	return counts, rowError(err, "count nodes")
}

// CodeVersions gives the versions of the code that user-data of nodes that are not gone names, sorted.
func (r *Read) CodeVersions() ([]string, error) {
	var versions []string
	err := r.db.Model(&nodeRow{}).Distinct("code_version").Where("code_version <> '' AND "+notGone).
		Order("code_version").Pluck("code_version", &versions).Error
	return versions, rowError(err, "versions in use")
}

func (r *Read) countAlive(where string, args ...any) (int, error) {
	var n int64
	err := r.db.Model(&nodeRow{}).Where(notGone).Where(where, args...).Count(&n).Error
	return int(n), rowError(err, "count nodes")
}
