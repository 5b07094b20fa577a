package helloworld

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"
)

// check asks for the page as a visitor does and compares what comes.
func (s *Half) check(ctx context.Context, want config) error {
	_, err := s.get(ctx, want)
	return err
}

// await waits until nginx serves the page under the configuration of that mark, for reloadTime at most.
func (s *Half) await(ctx context.Context, want config, mark string) error {
	ctx, cancel := context.WithTimeout(ctx, reloadTime)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		got, err := s.get(ctx, want)
		if err == nil && got == mark {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the configuration %s is not in effect (%q is): %w", mark, got, ctx.Err())
		case <-ticker.C:
		}
	}
}

// get fetches the page and gives the mark of the configuration it was served under.
func (s *Half) get(ctx context.Context, want config) (mark string, err error) {
	address := want.listen[0]
	if address.Addr().IsUnspecified() {
		address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
	}
	url := "http://" + address.String() + "/"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", fmt.Errorf("ask for the page: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask for the page: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(len(want.page))+1))
	if err != nil {
		return "", fmt.Errorf("read the page from %s: %w", url, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", url, response.Status)
	}
	if !bytes.Equal(body, want.page) {
		return "", fmt.Errorf("%s answers another page than the node's own", url)
	}
	return response.Header.Get(headerConfig), nil
}
