package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"conpaas/client/api"
	"conpaas/client/daemon"
)

// kept is what a manager keeps on its disk, so that it goes on at once after a restart. The director's word
// replaces it.
type kept struct {
	Epoch api.Epoch       `json:"epoch"`
	Spec  api.ManagerSpec `json:"spec"`
	// Former has stopped services: their machines cannot be told to stop without the type.
	Former map[api.ServiceID]api.ServiceSpec `json:"former,omitempty"`
}

// readCache gives what was kept for the application; ok is false where nothing was.
func readCache(path string, application api.ApplicationID) (k kept, ok bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return kept{}, false, nil
	}
	if err != nil {
		return kept{}, false, err
	}
	if err := json.Unmarshal(data, &k); err != nil {
		return kept{}, false, fmt.Errorf("%s: %w", path, err)
	}
	if k.Spec.Application.ID != application {
		return kept{}, false, fmt.Errorf("%s: it is of application %s", path, k.Spec.Application.ID)
	}
	return k, true, nil
}

func writeCache(path string, k kept) error {
	data, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("keep the spec: %w", err)
	}
	return daemon.WriteFile(path, data, 0o600)
}
