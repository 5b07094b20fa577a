package hosting

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"conpaas/agent/service"
	"conpaas/client/api"
)

// Bounds of waiting for servers that a program is to use.
const (
	reachTime = 15 * time.Second // then it gets them as they are: it looks itself which of its servers answer
	dialTime  = time.Second
)

// reach is a *service.Waiting while a program that has servers is to get others that do not answer from this machine. They have said that they
// are ready, but the way to a new machine may take some seconds more: a handshake of the overlay that is lost is repeated after 5. Who
// used them at once would have nobody to ask meanwhile.
func (s *Half) reach(ctx context.Context, p Site, program string, servers []api.Server) error {
	has := p.Loaded(program).Servers
	fresh := slices.DeleteFunc(slices.Clone(servers), func(server api.Server) bool { return slices.Contains(has, server.Node) })
	if len(has) == 0 || len(fresh) == 0 {
		delete(s.waiting, program)
		return nil
	}
	if _, waits := s.waiting[program]; !waits {
		s.waiting[program] = time.Now()
	}
	if time.Since(s.waiting[program]) > s.patience {
		return nil
	}
	silent := make([]string, len(fresh))
	var all sync.WaitGroup
	for i, server := range fresh {
		all.Go(func() {
			dialer := net.Dialer{Timeout: dialTime}
			c, err := dialer.DialContext(ctx, "tcp", server.Address.String())
			if err != nil {
				silent[i] = string(server.Node)
				return
			}
			_ = c.Close()
		})
	}
	all.Wait()
	if silent = slices.DeleteFunc(silent, func(id string) bool { return id == "" }); len(silent) > 0 {
		return &service.Waiting{For: strings.Join(silent, ", ") + " cannot be reached from here yet", Busy: true}
	}
	delete(s.waiting, program)
	return nil
}
