// Package php is the manager half of the service type php: a hosting type whose backends are php-fpm.
package php

import (
	"strconv"

	"conpaas/manager/services/hosting"
)

// New makes the manager half.
func New() hosting.Half { return hosting.Half{Patience: patience} }

// Bounds of how long a program may say nothing.
const (
	shortestPatience = 60 // seconds
	extraPatience    = 30 // seconds beyond max_execution_time, which does not count waiting for others
)

func patience(settings map[string]string) int {
	seconds, _ := strconv.Atoi(settings["max_execution_time"]) // the director lets numbers through alone
	return max(shortestPatience, seconds+extraPatience)
}
