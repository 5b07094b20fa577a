package php

import (
	"context"
	"fmt"
	"io"
	"net"
)

const maxAnswer = 1 << 20

// runtimeCommand asks a running HAProxy (Management Guide 2.6, 9.3 "Unix Socket commands").
func runtimeCommand(ctx context.Context, socket, command string) (string, error) {
	conn, err := dial(ctx, "unix", socket)
	if err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	// The master's socket waits for more commands until there can be none.
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return "", fmt.Errorf("ask haproxy: %w", err)
		}
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err != nil {
		return "", fmt.Errorf("ask haproxy: %w", err)
	}
	return string(answer), nil
}

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
