package disk

// Setup is a shell script for the empty root file system, which is its argument ($1), before any package is there, as a
// setup hook of mmdebstrap: what the packages' own scripts must find, so that the initial ram disk is made once.
var Setup string

// Customize is a shell script for the root file system, which is its argument ($1), when all packages are installed and
// what belongs to one machine is removed, as mmdebstrap's last customize hook: what makes a virtual machine of it.
var Customize string

// Packages gives the Debian packages that a virtual machine needs beside those of a container.
func Packages(arch string) []string {
	return nil
}
