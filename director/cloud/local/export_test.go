package local

// HostName is the name under which the things of a cloud are found outside its directory.
func HostName(dir string) string { return newLayout(dir, rootMode()).cgroup[1:] }

// Shorten is what keepHouse does with a console, and Longest the length that makes it.
var Shorten = shorten

const Longest, Tip = consoleMax, consoleTip

// Reap is the part of keepHouse that collects dead processes.
func Reap(c *Cloud) { c.reap() }
