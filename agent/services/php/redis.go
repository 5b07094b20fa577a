package php

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"conpaas/agent/host"
	"conpaas/agent/services/conf"
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
	text, err := renderRedis(h.State().Path(redisDir), want)
	if err != nil {
		return err
	}
	_, mark := conf.Marked(text)
	if err := conf.Install(h, conf.File{Name: configDir + "/" + redisConf, Text: text, Mode: 0o644}); err != nil {
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
	r, err := loginRedis(ctx, at, askTime)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.do("PING")
	return err
}

// noteReload remembers when a program was told to take over a configuration.
func (s *Half) noteReload(program string) { s.reloaded[program] = time.Now() }
