// Package services is the table of the agent halves that this program has, one folder per service type.
//
// It knows nothing of what the halves do.
package services

import (
	"conpaas/agent/service"
	"conpaas/agent/services/generic"
	"conpaas/agent/services/helloworld"
	"conpaas/agent/services/java"
	"conpaas/agent/services/mysql"
	"conpaas/agent/services/php"
	"conpaas/client/api"
)

// All gives the maker of the agent half of every service type of the catalogue.
func All() map[api.ServiceType]func() service.Half {
	return map[api.ServiceType]func() service.Half{
		api.Helloworld: func() service.Half { return helloworld.New() },
		api.PHP:        func() service.Half { return php.New() },
		api.Java:       func() service.Half { return java.New() },
		api.MySQL:      func() service.Half { return mysql.New() },
		api.Generic:    func() service.Half { return generic.New() },
	}
}
