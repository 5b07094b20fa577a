package directortest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"conpaas/client/api"
	"conpaas/director/cloud"
)

// Cloud is a cloud in memory. It outlives directors, as clouds do.
type Cloud struct {
	mu       sync.Mutex
	machines map[cloud.MachineID]*machine
	launches int
	last     byte
	// Refuse, where it is set, may refuse a launch: it is given the number of the launch, from 1.
	refuse func(launch int) error
	// code, where it is set, gives the reason against a code version, "" for none.
	code  func(version string) string
	specs map[api.ApplicationID]api.ManagerSpec // what the managers got last
	mute  map[api.NodeID]bool                   // machines that run and of which nothing is heard
	// lie, where it is set, gives what managers say in place of the truth.
	lie func(api.ManagerReport) []api.ManagerReport
	// answer answers the calls that managers know nothing of.
	answer http.HandlerFunc
	// publish, where it is set, is called before a port is published.
	publish func(ctx context.Context) error
	older   bool // managers speak a protocol that no director speaks any more

	images  images
	volumes volumes

	lingers atomic.Bool // terminated machines run on
	ghosts  []*machine  // those that do
}

// NewCloud gives a cloud without machines.
func NewCloud() *Cloud {
	return &Cloud{machines: make(map[cloud.MachineID]*machine), specs: make(map[api.ApplicationID]api.ManagerSpec), answer: http.NotFound}
}

// Refuse sets who decides about launches, which are numbered from 1; nil refuses none.
func (c *Cloud) Refuse(f func(launch int) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = f
}

// Mute makes the machines of nodes run on with nothing heard of them, or be heard again.
func (c *Cloud) Mute(mute bool, nodes ...api.NodeID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mute == nil {
		c.mute = make(map[api.NodeID]bool)
	}
	for _, n := range nodes {
		c.mute[n] = mute
	}
}

// Lie sets what managers say in place of each true report; nil: the truth.
func (c *Cloud) Lie(f func(api.ManagerReport) []api.ManagerReport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lie = f
}

func (c *Cloud) said(r api.ManagerReport) []api.ManagerReport {
	c.mu.Lock()
	f := c.lie
	c.mu.Unlock()
	if f == nil {
		return []api.ManagerReport{r}
	}
	return f(r)
}

// RefuseCode sets who decides, for the machines, about code versions: it gives the reason against one, or "".
func (c *Cloud) RefuseCode(f func(version string) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.code = f
}

// Answer sets what managers answer to the calls that they know nothing of: logs and commands. Default: a bare 404.
func (c *Cloud) Answer(f http.HandlerFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

// Publishing sets what happens before a port of a machine is published.
func (c *Cloud) Publishing(f func(ctx context.Context) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publish = f
}

// Publish gives the ports at the machine's own address.
func (c *Cloud) Publish(ctx context.Context, id cloud.MachineID, ports []uint16) (map[uint16]string, error) {
	c.mu.Lock()
	before := c.publish
	c.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return nil, err
		}
	}
	m, err := c.Describe(ctx, id)
	if err != nil {
		return nil, err
	}
	at := make(map[uint16]string, len(ports))
	for _, port := range ports {
		at[port] = netip.AddrPortFrom(m.Address, port).String()
	}
	return at, nil
}

func (c *Cloud) other() http.HandlerFunc {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answer
}

// Older makes the managers speak an older protocol than the director, or the same again.
func (c *Cloud) Older(older bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.older = older
}

func (c *Cloud) isOlder() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.older
}

func (c *Cloud) refusal(version string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code == nil {
		return ""
	}
	return c.code(version)
}

// Spec gives what the manager of an application was told last.
func (c *Cloud) Spec(id api.ApplicationID) api.ManagerSpec {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.specs[id]
}

// took is called by the manager on a node when it has taken a spec.
func (c *Cloud) took(manager api.NodeID, spec api.ManagerSpec) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.specs[spec.Application.ID] = spec
	for _, m := range c.machines {
		ours := m.node == manager || slices.ContainsFunc(spec.Nodes, func(n api.NodeInfo) bool { return n.ID == m.node })
		if renewal := m.renewal.Load(); ours && renewal != nil {
			renewal.Want(spec.Trust)
		}
	}
}

// Trust names what the machine of a node has been given by the CA, "" when it has nothing.
func (c *Cloud) Trust(node api.NodeID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		if renewal := m.renewal.Load(); m.node == node && renewal != nil {
			return renewal.Trust()
		}
	}
	return ""
}

// Launches counts the launches so far, refused ones too.
func (c *Cloud) Launches() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.launches
}

// Error makes an error as a cloud gives it.
func (c *Cloud) Error(kind cloud.Kind, text string) error {
	return &cloud.Error{Kind: kind, Cloud: "memory", Op: "launch", Text: text}
}

// Check finds nothing to complain about.
func (c *Cloud) Check(context.Context) []api.Check {
	return []api.Check{{Name: "memory", OK: true, Detail: "always there"}}
}

// Launch starts a machine as a goroutine, or gives the one that has the token.
func (c *Cloud) Launch(_ context.Context, spec cloud.Spec) (cloud.MachineID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, m := range c.machines {
		if m.token == spec.Token {
			return id, nil
		}
	}
	c.launches++
	if c.refuse != nil {
		if err := c.refuse(c.launches); err != nil {
			return "", err
		}
	}
	if err := c.hasImage(cloud.ImageID(spec.Image)); err != nil {
		return "", err
	}
	c.last++
	m := &machine{
		image: cloud.ImageID(spec.Image), cloud: c, token: spec.Token, id: cloud.MachineID(fmt.Sprintf("m%d", c.launches)),
		address: netip.AddrFrom4([4]byte{10, 0, 0, c.last}), launched: time.Now().UTC(),
	}
	if err := m.start(spec.UserData); err != nil {
		return "", &cloud.Error{Kind: cloud.KindPermanent, Cloud: "memory", Op: "launch", Err: err}
	}
	c.machines[m.id] = m
	return m.id, nil
}

// Describe gives a machine.
func (c *Cloud) Describe(_ context.Context, id cloud.MachineID) (cloud.Machine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.machines[id]
	if !ok {
		return cloud.Machine{}, &cloud.Error{Kind: cloud.KindNotFound, Cloud: "memory", Op: "describe", Text: string(id)}
	}
	return m.describe(), nil
}

// List gives every machine, oldest first.
func (c *Cloud) List(context.Context) ([]cloud.Machine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []cloud.Machine
	for _, m := range c.machines {
		all = append(all, m.describe())
	}
	slices.SortFunc(all, func(a, b cloud.Machine) int { return a.Launched.Compare(b.Launched) })
	return all, nil
}

// Terminate ends a machine.
func (c *Cloud) Terminate(_ context.Context, id cloud.MachineID) error {
	c.mu.Lock()
	m, ok := c.machines[id]
	delete(c.machines, id)
	c.mu.Unlock()
	c.volumes.part(id)
	if ok && !c.lingers.Load() {
		m.stop()
	} else if ok {
		c.mu.Lock()
		c.ghosts = append(c.ghosts, m)
		c.mu.Unlock()
	}
	return nil
}

// Linger has machines that are terminated run on, as those of a cloud that does not tell the truth.
func (c *Cloud) Linger() { c.lingers.Store(true) }

// Refused counts how often a terminated machine of a node that runs on was not let in.
func (c *Cloud) Refused(node api.NodeID) (count int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.ghosts {
		if m.node == node {
			count += m.refused.Load()
		}
	}
	return count
}

// Console gives what the machine printed, which is its id.
func (c *Cloud) Console(_ context.Context, id cloud.MachineID) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("console of " + string(id) + "\n")), nil
}

// Kill ends the machine of a node as a power failure does: the cloud does not know it any more.
func (c *Cloud) Kill(node api.NodeID) {
	machines, _ := c.List(context.Background())
	for _, m := range machines {
		if strings.HasPrefix(m.Token, string(node)+"-") {
			_ = c.Terminate(context.Background(), m.ID)
		}
	}
}

// Token gives the join token in the user-data of a node's machine, "" when it has none.
func (c *Cloud) Token(node api.NodeID) api.Secret {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		if m.node == node {
			return m.join
		}
	}
	return ""
}

// Close ends every machine.
func (c *Cloud) Close() {
	c.lingers.Store(false)
	c.mu.Lock()
	ghosts := c.ghosts
	c.mu.Unlock()
	for _, m := range ghosts {
		m.stop()
	}
	machines, _ := c.List(context.Background())
	for _, m := range machines {
		_ = c.Terminate(context.Background(), m.ID)
	}
}

// alive tells whether the machine of a node runs and has joined.
func (c *Cloud) alive(node api.NodeID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.machines {
		if m.node == node && m.joined.Load() && !c.mute[node] {
			return true
		}
	}
	return false
}
