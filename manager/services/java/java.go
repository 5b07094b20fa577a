// Package java is the manager half of the service type java: a hosting type whose backends are Tomcats.
package java

import (
	"strconv"

	"conpaas/client/api"
	"conpaas/manager/services/hosting"
)

// New makes the manager half.
func New() hosting.Half { return hosting.Half{Patience: patience} }

// patience is for how many seconds a program may say nothing.
func patience(settings map[string]string) int {
	seconds, _ := strconv.Atoi(settings[api.RequestTimeout]) // the director lets numbers through alone
	return max(1, seconds)
}
