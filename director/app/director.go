package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"conpaas/certs/mtls"
	"conpaas/client/api"
	"conpaas/client/daemon"
	"conpaas/client/wire"
	"conpaas/director/auth"
	"conpaas/director/blob"
	"conpaas/director/cloud"
	"conpaas/director/store"
	"conpaas/vpn"
)

// Config is what a director is made of.
type Config struct {
	Dir      string            // data folder
	Store    store.Options     // Published is the director's own
	URL      string            // https://host:port by which users and machines know the director
	CodeFrom string            // folder with the programs that machines download
	Arch     string            // their architecture as uname -m says
	Plan     vpn.Plan          // of every application's network
	Relays   []api.Relay       // of VPN_BOOTSTRAP_NODES, for every application
	Relay    RelayConfig       // the director's own
	Clouds   []Cloud           // the first is the default
	Kinds    []api.ServiceKind // service types; nil: the catalogue's
	MaxVMs   int               // machines of the installation on all clouds; 0: no limit
	Timing   Timing
	Credit   CreditRules
	Register bool // whoever reaches the director may make an account: SELF_REGISTRATION
	Log      *slog.Logger

	AuditKeep time.Duration // how long entries of the audit log are kept; default a year

	VolumeKeep time.Duration // how long orphaned volumes are kept; default 7 days

	Certificates Certificates
}

// Certificates has the lives of certificates. Zero members take the defaults.
type Certificates struct {
	Node      time.Duration // of nodes; default 30 days
	Grace     time.Duration // after its end a node's certificate can still be renewed; default and most 90 days
	Director  time.Duration // of what the director shows; default 90 days
	Authority time.Duration // of a CA certificate; default 10 years
}

func (c Certificates) withDefaults() Certificates {
	const day = 24 * time.Hour
	return Certificates{
		Node: cmp.Or(c.Node, 30*day), Grace: cmp.Or(c.Grace, mtls.Grace),
		Director: cmp.Or(c.Director, 90*day), Authority: cmp.Or(c.Authority, 10*365*day),
	}
}

// Cloud is one configured cloud.
type Cloud struct {
	Name     string
	Kind     string
	Options  map[string]string // as shown: secrets are masked
	Address  string            // DIRECTOR_ADDRESS: host:port that its machines dial
	MaxVMs   int               // machines of the installation there; 0: no limit
	Provider cloud.Provider
}

// Timing has the director's patience. Zero members take the defaults.
type Timing struct {
	Boot    time.Duration // from launch to join; default 10 min
	Silence time.Duration // without a word before a node is unreachable; default 15 s
	Replace time.Duration // unreachable though the cloud says that the machine runs, before it is replaced; default 10 min
	Stray   time.Duration // a machine that the database does not know, before it is removed; default 2 min
	Sweep   time.Duration // between two looks at a cloud's list; default 10 s
	Charge  time.Duration // between two looks at the hours that have begun; default 1 min
}

// volumeKeep is how long orphaned volumes are kept unless it is set.
const volumeKeep = 7 * 24 * time.Hour

func (t Timing) withDefaults() Timing {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&t.Boot, 10*time.Minute)
	set(&t.Silence, 15*time.Second)
	set(&t.Replace, 10*time.Minute)
	set(&t.Stray, 2*time.Minute)
	set(&t.Sweep, 10*time.Second)
	set(&t.Charge, time.Minute)
	return t
}

// Director is a running installation.
type Director struct {
	config    Config
	log       *slog.Logger
	store     *store.Store
	url       *url.URL
	trust     atomic.Pointer[trust]
	caTurn    sync.Mutex    // one learnCA at a time
	caNews    chan struct{} // something that a rotation may wait for
	code      *Code
	blobs     *blob.Dir
	places    map[string]*place
	hub       *wire.Hub
	feed      *feed
	splices   splices
	relays    relays
	logins    *auth.Limiter
	passwords *auth.Passwords
	auditor   *auditor
	actions   actions

	mu      sync.Mutex
	workers map[api.ApplicationID]*worker
	running context.Context // nil until Run; workers live in it
	group   sync.WaitGroup
}

// Open opens the data folder and the clouds' settings; at the first start it makes the CA, the key file, the
// database and the user admin. Nothing runs until Run.
func Open(ctx context.Context, c Config) (_ *Director, err error) {
	d := &Director{
		config: c, log: c.Log, feed: &feed{}, logins: auth.NewLimiter(), passwords: auth.NewPasswords(),
		workers: make(map[api.ApplicationID]*worker),
		places:  make(map[string]*place), caNews: make(chan struct{}, 1),
	}
	d.config.VolumeKeep = cmp.Or(c.VolumeKeep, volumeKeep)
	if d.config.Kinds == nil {
		d.config.Kinds = api.Catalogue()
	}
	d.config.Timing, d.config.Certificates = c.Timing.withDefaults(), c.Certificates.withDefaults()
	if d.url, err = url.Parse(c.URL); err != nil || d.url.Scheme != "https" || d.url.Hostname() == "" {
		return nil, fmt.Errorf("DIRECTOR_URL %q: want https://host:port", c.URL)
	}
	options := c.Store
	options.Log, options.Published = c.Log, d.published
	if d.store, err = store.Open(ctx, c.Dir, options); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.store.Close())
		}
	}()
	d.auditor = newAuditor(d.store, c.Log)
	if err := d.firstStart(ctx); err != nil {
		return nil, err
	}
	if d.blobs, err = blob.Open(filepath.Join(c.Dir, "blobs")); err != nil {
		return nil, err
	}
	if err := d.blobs.Prune(func() (map[string]bool, error) { return d.namedBlobs(ctx) }, true); err != nil {
		return nil, fmt.Errorf("remove archives that nobody needs: %w", err)
	}
	for _, c := range c.Clouds {
		d.places[c.Name] = newPlace(c)
	}
	if err := d.openRelays(RelayDir(c.Dir)); err != nil {
		return nil, err
	}
	d.hub = wire.NewHub(wire.HubOptions{
		Log: d.log, Connected: d.managerConnected, Disconnected: d.managerDisconnected, Clone: d.managerCloned,
	})
	return d, nil
}

// Run brings up the clouds of this host and works until ctx ends; then it waits for its own goroutines and
// leaves every machine as it is. ready is called once with the listeners that machines reach the director on.
func (d *Director) Run(ctx context.Context, ready func(inside []net.Listener) error) (err error) {
	var inside []net.Listener
	for _, p := range d.places {
		host, ok := p.provider.(cloud.Host)
		if !ok {
			continue
		}
		if err := host.Start(ctx); err != nil {
			return fmt.Errorf("cloud %s: %w", p.name, err)
		}
		defer func() { err = errors.Join(err, host.Close()) }()
		if l := host.Listener(); l != nil {
			inside = append(inside, l)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		d.hub.Close()
		d.group.Wait()
	}()
	d.locate(ctx)
	d.group.Go(func() { d.relaying(ctx) })
	d.group.Go(func() { d.auditor.run(ctx, cmp.Or(d.config.AuditKeep, auditKeep)) })
	d.mu.Lock()
	d.running = ctx // from here on a change wakes its worker; what changed before is found now
	d.mu.Unlock()
	unsettled, running, err := d.unfinished(ctx)
	switch {
	case ctx.Err() != nil:
		return nil // ended before it served
	case err != nil:
		return err
	}
	for _, id := range unsettled {
		d.wake(id)
	}
	d.group.Go(func() { d.wakeQuiet(ctx, running) })
	for _, p := range d.places {
		d.group.Go(func() { d.sweep(ctx, p) })
		d.group.Go(func() { d.sweepingVolumes(ctx, p) })
	}
	d.group.Go(func() { d.tendCA(ctx) })
	d.group.Go(func() { d.charging(ctx) })
	if err := ready(inside); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// Close ends the store; Run must have returned.
func (d *Director) Close() error {
	d.auditor.flush(context.Background(), true)
	return d.store.Close()
}

// Code is what machines download.
func (d *Director) Code() *Code { return d.code }

// unfinished gives the applications that need work, and all that are to run.
func (d *Director) unfinished(ctx context.Context) (unsettled, running []api.ApplicationID, err error) {
	err = d.store.View(ctx, func(r *store.Read) error {
		if unsettled, err = r.Unsettled(); err != nil {
			return err
		}
		for page := (store.Page{Limit: 1000}); ; {
			applications, next, err := r.Applications(0, page)
			if err != nil {
				return err
			}
			for _, a := range applications {
				if a.Wanted == store.ApplicationRunning {
					running = append(running, a.ID)
				}
			}
			if next == 0 {
				return nil
			}
			page.After = next
		}
	})
	return unsettled, running, err
}

// wakeQuiet wakes those workers, after some time, that nothing has woken: the managers of most applications connect
// at once when a director begins, and there is nothing to do before.
func (d *Director) wakeQuiet(ctx context.Context, ids []api.ApplicationID) {
	select {
	case <-time.After(d.config.Timing.Silence / 3):
	case <-ctx.Done():
		return
	}
	for _, id := range ids {
		d.mu.Lock()
		_, awake := d.workers[id]
		d.mu.Unlock()
		if !awake {
			d.wake(id)
		}
	}
}

// wake makes the worker of an application look again; the first time it starts it.
func (d *Director) wake(id api.ApplicationID) {
	if w := d.worker(id); w != nil {
		w.kick()
	}
}

// wakeFor is wake for a request that has changed the application: the work that follows carries its id.
func (d *Director) wakeFor(ctx context.Context, id api.ApplicationID) {
	if w := d.worker(id); w != nil {
		w.trace.Set(wire.RequestID(ctx))
		w.kick()
	}
}

// wakeAll makes every worker look again.
func (d *Director) wakeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.workers {
		w.kick()
	}
}

// worker gives the worker of an application, nil while the director is not running.
func (d *Director) worker(id api.ApplicationID) *worker {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running == nil || d.running.Err() != nil {
		return nil
	}
	w, ok := d.workers[id]
	if !ok {
		ctx := d.running
		w = newWorker(d.running, d, id)
		d.workers[id] = w
		d.group.Go(func() {
			w.run(ctx)
			d.mu.Lock()
			defer d.mu.Unlock()
			delete(d.workers, id)
		})
	}
	return w
}

// published wakes those who watch what has just been written.
func (d *Director) published(events []store.Event) {
	for _, e := range events {
		if e.Application != 0 {
			d.feed.changed(applicationKey(e.Application))
		}
		if e.Node != "" {
			d.feed.changed(nodesKey)
		}
		if e.Operation != "" {
			d.feed.changed(string(e.Operation))
		}
		if t := d.trust.Load(); e.Node != "" && t != nil && t.step(0) == api.CAIntroducing {
			d.lookCA() // the rotation does not wait for a node that is gone
		}
		if e.Alarm {
			d.log.Warn(e.Text, "event", e.Kind, daemon.KeyApplication, e.Application, daemon.KeyNode, e.Node)
		}
	}
}

func applicationKey(id api.ApplicationID) string { return "a" + strconv.FormatInt(int64(id), 10) }
