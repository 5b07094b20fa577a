// Package all is the table of the kinds of clouds. It knows nothing but their names.
package all

import (
	"conpaas/director/cloud"
	"conpaas/director/cloud/local"
)

// Drivers gives every kind of cloud by its name. The map is the caller's.
func Drivers() map[string]cloud.Driver {
	drivers := map[string]cloud.Driver{}
	for _, d := range []cloud.Driver{local.Driver()} {
		drivers[d.Kind] = d
	}
	return drivers
}
