package hosting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"

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
func (s *Half) applyRedis(ctx context.Context, p Site, want api.SessionsStore) error {
	path, err := p.Host.Look("redis-server")
	if err != nil {
		return fmt.Errorf("%w; the image needs the package redis-server", err)
	}
	user, err := p.Host.User(redisUser)
	if err != nil {
		return err
	}
	if err := p.Host.State().Mkdir(p.redis(), 0o700, user); err != nil {
		return err
	}
	text, err := renderRedis(p.Path(p.redis()), want)
	if err != nil {
		return err
	}
	_, mark := conf.Marked(text)
	if err := conf.Install(p.Host, conf.File{Name: p.Config() + "/" + redisConf, Text: text, Mode: 0o644}); err != nil {
		return err
	}
	_, err = p.Start(ctx, host.Program{
		Name: redis, Path: path, Args: []string{p.Path(p.Config() + "/" + redisConf)}, Env: []string{"CONPAAS_CONFIG=" + mark}, User: user,
	})
	return err
}

func renderRedis(dir string, want api.SessionsStore) ([]byte, error) {
	sum := sha256.Sum256([]byte(want.Password))
	return Render(files, redisConf, redisValues{Address: want.Listen.Addr(), Port: want.Listen.Port(), Dir: dir, Password: hex.EncodeToString(sum[:])})
}

// askRedis logs in as programs do and asks whether it serves.
func askRedis(ctx context.Context, at api.SessionsStore) error {
	r, err := loginRedis(ctx, at, askTime)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.do("PING")
	return err
}
