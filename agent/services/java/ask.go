package java

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"conpaas/agent/services/hosting"
)

// answer is what an instance says of itself.
type answer struct {
	state  string // of the program: Tomcat's LifecycleState, or ABSENT where there is none
	active int    // requests in flight
}

// up tells whether the program serves.
func (a answer) up() bool { return a.state == "STARTED" }

// ask asks an instance, which answers once its program has been started, or has failed to.
func ask(ctx context.Context, p hosting.Site, mark string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socketPath(p, mark))
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/.conpaas/status", nil)
	if err != nil {
		return answer{}, fmt.Errorf("ask Tomcat: %w", err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("ask Tomcat: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 100))
	if err != nil {
		return answer{}, fmt.Errorf("ask Tomcat: %w", err)
	}
	state, count, _ := strings.Cut(string(text), " ")
	active, err := strconv.Atoi(count)
	if err != nil || response.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("Tomcat answers %.100q when it is asked how it is", text)
	}
	return answer{state: state, active: active}, nil
}
