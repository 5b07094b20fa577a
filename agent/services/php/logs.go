package php

import (
	"conpaas/agent/host"
)

// Logs of requests, which programs write themselves; the others are named after their programs.
const (
	nginxAccess = nginx + "-access"
	fpmAccess   = fpm + "-access"
)

// openLog makes a log before its program does, which would let others read it.
func openLog(h *host.Host, name string) error {
	w, err := h.Logs().Writer(name)
	if err != nil {
		return err
	}
	return w.Close()
}

// boundLogs keeps the logs of requests from growing.
func boundLogs(h *host.Host) {
	for _, name := range []string{nginxAccess, fpmAccess} {
		h.Logs().Bound(name)
	}
}
