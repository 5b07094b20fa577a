// Package config reads director.cfg: the INI sections and keys that directors of ConPaaS have always had, strictly. What it gives
// is typed and checked; what it does not know is an error that names the nearest known thing with file and line.
//
// It must not know the database, HTTP or any single cloud: the options of each kind of cloud are handed to it as data.
package config
