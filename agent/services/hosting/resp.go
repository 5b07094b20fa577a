package hosting

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"conpaas/client/api"
)

// redisConn is a conversation with Redis (Redis serialization protocol, version 2).
type redisConn struct {
	net.Conn
	answers *bufio.Reader
}

// loginRedis begins a conversation as programs do; all of it has a time.
func loginRedis(ctx context.Context, at api.SessionsStore, within time.Duration) (*redisConn, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.Listen.String())
	if err != nil {
		return nil, fmt.Errorf("ask Redis: %w", err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	r := &redisConn{Conn: conn, answers: bufio.NewReader(conn)}
	if _, err := r.do("AUTH", at.Password); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return r, nil
}

// do gives the answer to a command: a string, an int64, nil, or a list of such.
func (r *redisConn) do(words ...string) (any, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, w := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(w), w)
	}
	if _, err := io.WriteString(r, b.String()); err != nil {
		return nil, fmt.Errorf("ask Redis: %w", err)
	}
	answer, err := r.read(0)
	if err != nil {
		return nil, fmt.Errorf("ask Redis (%s): %w", words[0], err)
	}
	return answer, nil
}

// Bounds of an answer, which is a page of keys at most.
const (
	maxBulk  = 1 << 20
	maxItems = 1 << 16
	maxDepth = 3
)

func (r *redisConn) read(depth int) (any, error) {
	line, err := r.answers.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return nil, errors.New("an empty line came")
	}
	kind, text := line[0], line[1:]
	switch kind {
	case '+':
		return text, nil
	case '-':
		return nil, fmt.Errorf("it answers %.200q", text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return nil, fmt.Errorf("it answers %.200q", line)
	case kind == ':':
		return n, nil
	case n == -1:
		return nil, nil
	case kind == '$' && 0 <= n && n <= maxBulk:
		bulk := make([]byte, n+2) // with its line's end
		if _, err := io.ReadFull(r.answers, bulk); err != nil {
			return nil, err
		}
		return string(bulk[:n]), nil
	case kind == '*' && 0 <= n && n <= maxItems && depth < maxDepth:
		items := make([]any, n)
		for i := range items {
			if items[i], err = r.read(depth + 1); err != nil {
				return nil, err
			}
		}
		return items, nil
	}
	return nil, fmt.Errorf("it answers %.200q", line)
}
