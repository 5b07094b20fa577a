package conf

import (
	"encoding/json"
	"fmt"

	"conpaas/agent/service"
	"conpaas/client/api"
)

// Decode reads the configuration of a role, which may be hostile, and has it checked. Its error names the role.
func Decode[C any](r api.RoleSpec, n service.Node, check func(C, service.Node) error) (*C, error) {
	var c C
	err := json.Unmarshal(r.Config, &c)
	if err == nil {
		err = check(c, n)
	}
	if err != nil {
		return nil, fmt.Errorf("configuration of role %s: %w", r.Role, err)
	}
	return &c, nil
}
