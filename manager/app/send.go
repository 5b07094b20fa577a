package app

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"conpaas/client/agent"
	"conpaas/client/api"
	"conpaas/client/daemon"
)

const (
	blobSends = 4               // blobs that are sent to agents at one time
	blobStall = 2 * time.Minute // a sending of which nothing is read for so long is broken off; checking 4 GiB takes less
)

// delivery is what was last done to give a node the blobs that it lacks. It is of the loop.
type delivery struct {
	session  uint64
	busy     bool
	failures int
	retryAt  time.Time
}

// FindBlob tells how much of a blob is here. api.CodeNotFound: nothing.
func (w *Worker) FindBlob(digest string) (api.Blob, error) { return w.blobs.Find(digest) }

// PutBlob receives a blob or the rest of one from the director. It is taken only when the spec names it, there is room,
// and, once it is complete, its SHA-256 is its name. What has come of one that breaks off stays for the next try.
func (w *Worker) PutBlob(ctx context.Context, digest string, part api.BlobPart, body io.Reader) error {
	err := w.blobs.Put(ctx, digest, part, body)
	w.post(func() {}) // the director and the agents are to hear of it
	return err
}

// deliver starts to send blobs to the agents that lack some which are here, one at a time to each. It is called by the loop.
func (w *Worker) deliver(ctx context.Context, now time.Time) {
	for id, d := range w.deliveries {
		if n := w.core.nodes[id]; n == nil || n.session != d.session {
			delete(w.deliveries, id)
		}
	}
	for id, n := range w.core.nodes {
		if n.session == 0 || !n.fresh || len(n.status.Lacks) == 0 {
			continue
		}
		d := w.deliveries[id]
		if d == nil {
			d = &delivery{session: n.session}
			w.deliveries[id] = d
		}
		if d.busy || now.Before(d.retryAt) {
			continue
		}
		i := slices.IndexFunc(n.status.Lacks, w.blobs.Has)
		if i < 0 {
			continue
		}
		d.busy = true
		w.startSending(ctx, id, d, n.status.Lacks[i], w.core.epoch)
	}
}

// startSending sends in a goroutine of its own, when it is its turn.
func (w *Worker) startSending(ctx context.Context, id api.NodeID, d *delivery, digest string, epoch api.Epoch) {
	w.work.Go(func() {
		select {
		case w.blobPlaces <- struct{}{}:
		case <-ctx.Done():
			return
		}
		err := w.sendBlob(ctx, id, digest, epoch)
		<-w.blobPlaces
		if ctx.Err() != nil {
			return
		}
		w.post(func() {
			d.busy = false
			if err == nil {
				d.failures, d.retryAt = 0, time.Now().Add(w.cfg.Timing.Retry) // its report of it is on the way
				return
			}
			d.retryAt = time.Now().Add(min(w.cfg.Timing.Retry<<min(d.failures, 16), w.cfg.Timing.RetryMax))
			d.failures++
		})
		if err != nil {
			w.log.Warn("an agent did not take a blob", daemon.KeyNode, id, "sha256", digest, daemon.KeyError, err)
		} else {
			w.log.Info("an agent has got a blob", daemon.KeyNode, id, "sha256", digest)
		}
	})
}

func (w *Worker) sendBlob(ctx context.Context, id api.NodeID, digest string, epoch api.Epoch) error {
	file, size, err := w.blobs.Open(digest)
	if err != nil {
		return err
	}
	defer file.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := api.Errorf(api.CodeTimeout, "the agent of node %s has taken nothing of blob %s for %s", id, digest, blobStall)
	watch := time.AfterFunc(blobStall, func() { cancel(stalled) })
	defer watch.Stop()
	err = agent.New(w.hub.Client(string(id))).PutBlob(ctx, epoch, digest, size, watched{from: file, timer: watch})
	if api.CodeFrom(err) == api.CodeInvalid { // what has arrived is another file: perhaps because the one here is damaged
		return errors.Join(err, w.blobs.Verify(digest))
	}
	return err
}

// watched is what is read from a file before its time is up; each reading begins it anew.
type watched struct {
	from  io.ReaderAt
	timer *time.Timer
}

func (w watched) ReadAt(p []byte, at int64) (int, error) {
	w.timer.Reset(blobStall)
	return w.from.ReadAt(p, at)
}
