// Package services has the manager half of every service type in one explicit map.
//
// It knows the halves and nothing else.
package services

import (
	"conpaas/client/api"
	"conpaas/manager/service"
	"conpaas/manager/services/generic"
	"conpaas/manager/services/helloworld"
	"conpaas/manager/services/java"
	"conpaas/manager/services/mysql"
	"conpaas/manager/services/php"
)

// Halves gives the manager half of every service type of the catalogue.
func Halves() map[api.ServiceType]service.Half {
	return map[api.ServiceType]service.Half{
		api.Helloworld: helloworld.Half{},
		api.PHP:        php.New(),
		api.Java:       java.New(),
		api.MySQL:      mysql.Half{},
		api.Generic:    generic.Half{},
	}
}
