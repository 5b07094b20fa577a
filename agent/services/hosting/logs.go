package hosting

// nginxAccess is the log of requests that nginx writes itself; the others are named after their programs.
const nginxAccess = nginx + "-access"

// boundLogs keeps the logs of requests from growing.
func (s *Half) boundLogs(p Site) {
	for _, name := range append([]string{nginxAccess}, s.kind.Logs...) {
		p.Host.Logs().Bound(name)
	}
}
