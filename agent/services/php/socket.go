package php

import (
	"context"
	"net"
	"time"
)

const (
	askTime   = 2 * time.Second // for one question to php-fpm
	maxAnswer = 1 << 20
)

// dial connects to a program of this machine; the whole conversation has askTime.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	return conn, nil
}
