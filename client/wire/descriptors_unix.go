//go:build unix

package wire

import "syscall"

// maxConnections is how many connections may be open, by the limit of open files (setrlimit(2), RLIMIT_NOFILE).
func maxConnections() int {
	const least, most = 64, 1 << 20
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return least
	}
	return int(min(max(float64(limit.Cur)*descriptorShare, least), most))
}
