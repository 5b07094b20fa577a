package php

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"conpaas/agent/host"
	"conpaas/client/api"
)

const (
	redisConf = "redis.conf"
	redisUser = "redis"
)

// redisValues fill redis.conf. The password is there as its SHA-256.
type redisValues struct {
	Address  netip.Addr
	Port     uint16
	Dir      string
	Password string
}

// applyRedis keeps the sessions. Redis cannot take over a configuration while it runs: another one is a restart,
// which keeps the data.
func (s *Half) applyRedis(ctx context.Context, h *host.Host, p paths, want api.SessionsStore) error {
	path, err := h.Look("redis-server")
	if err != nil {
		return fmt.Errorf("%w; the image needs the package redis-server", err)
	}
	user, err := h.User(redisUser)
	if err != nil {
		return err
	}
	if err := h.State().Mkdir(redisDir, 0o700, user); err != nil {
		return err
	}
	conf, err := renderRedis(h.State().Path(redisDir), want)
	if err != nil {
		return err
	}
	_, mark := marked(conf)
	if err := install(h, configuration{name: redisConf, text: conf, mode: 0o644}); err != nil {
		return err
	}
	_, err = s.start(ctx, h, host.Program{
		Name: redis, Path: path, Args: []string{filepath.Join(p.config, redisConf)}, Env: []string{"CONPAAS_CONFIG=" + mark}, User: user,
	})
	return err
}

func renderRedis(dir string, want api.SessionsStore) ([]byte, error) {
	sum := sha256.Sum256([]byte(want.Password))
	return render(redisConf, redisValues{Address: want.Listen.Addr(), Port: want.Listen.Port(), Dir: dir, Password: hex.EncodeToString(sum[:])})
}

// askRedis logs in as PHP does and asks whether it serves.
func askRedis(ctx context.Context, at api.SessionsStore) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.Listen.String())
	if err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := fmt.Fprintf(conn, "*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n*1\r\n$4\r\nPING\r\n", len(at.Password), at.Password); err != nil {
		return fmt.Errorf("ask Redis: %w", err)
	}
	answers := bufio.NewReader(conn)
	for _, want := range []string{"+OK", "+PONG"} {
		line, err := answers.ReadString('\n')
		if err != nil {
			return fmt.Errorf("ask Redis: %w", err)
		}
		if got := strings.TrimSpace(line); got != want {
			return fmt.Errorf("redis on %s answers %.200q", at.Listen, got)
		}
	}
	return nil
}

// noteReload remembers when a program was told to take over a configuration.
func (s *Half) noteReload(program string) { s.reloaded[program] = time.Now() }
