package app

import "sync"

// feed tells watchers that a thing has changed, not how: they read it again. A slow watcher misses nothing
// but intermediate states.
type feed struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]struct{}
}

// changed wakes everyone who watches key.
func (f *feed) changed(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.watchers[key] {
		select {
		case c <- struct{}{}:
		default: // it has not yet looked since the last change
		}
	}
}

// watch gives a channel that is sent to after each change of key, until stop is called.
func (f *feed) watch(key string) (c <-chan struct{}, stop func()) {
	watcher := make(chan struct{}, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers == nil {
		f.watchers = make(map[string]map[chan struct{}]struct{})
	}
	if f.watchers[key] == nil {
		f.watchers[key] = make(map[chan struct{}]struct{})
	}
	f.watchers[key][watcher] = struct{}{}
	return watcher, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers[key], watcher)
		if len(f.watchers[key]) == 0 {
			delete(f.watchers, key)
		}
	}
}
