package wiretest

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Variables that tell a test program that it is to play a crowd.
const (
	crowdVariable = "CONPAAS_TEST_CROWD"    // address, number of connections, number of addresses
	crowdCA       = "CONPAAS_TEST_CROWD_CA" // certificate of the server's CA
)

// Main makes the test program play a crowd when StartCrowd has started it. Call it first in TestMain.
func Main() {
	if what := os.Getenv(crowdVariable); what != "" {
		if err := playCrowd(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// StartCrowd has another process, which has open files of its own, make so many connections to a TLS server from so many
// addresses of loopback: that say nothing, that send half a request, that send a byte a second, or that do the handshake
// and no more. What is closed is made again. It returns when each has been there; stop ends them.
func StartCrowd(t *testing.T, server string, caPEM []byte, connections, addresses int) (stop func()) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d", crowdVariable, server, connections, addresses), crowdCA+"="+string(caPEM))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		in.Close()
		if err := c.Wait(); err != nil {
			t.Errorf("the crowd: %v", err)
		}
	})
	t.Cleanup(stop)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "all were there\n" {
		t.Fatalf("the crowd says %q, %v", line, err)
	}
	return stop
}

// playCrowd is the crowd until its standard input ends.
func playCrowd(what string) error {
	var server string
	var connections, addresses int
	if _, err := fmt.Sscan(what, &server, &connections, &addresses); err != nil {
		return err
	}
	if limit := openFiles(); limit < connections+100 {
		return fmt.Errorf("%d connections need as many open files, and the limit (ulimit -n) is %d: raise it", connections, limit)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM([]byte(os.Getenv(crowdCA)))
	config := &tls.Config{ServerName: "localhost", RootCAs: trusted, MinVersion: tls.VersionTLS13}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var crowd sync.WaitGroup
	var missing atomic.Int64
	missing.Store(int64(connections))
	all := make(chan struct{})
	for i := range connections {
		crowd.Go(func() {
			from := net.IPv4(127, 0, 1, byte(1+i%addresses))
			first := true
			for ctx.Err() == nil {
				if annoy(ctx, server, config, from, i/addresses, func() {
					if first && missing.Add(-1) == 0 {
						close(all)
					}
					first = false
				}) {
					continue
				}
				rest := time.NewTimer(50 * time.Millisecond) // the listener's queue is full
				select {
				case <-rest.C:
				case <-ctx.Done():
				}
			}
		})
	}
	go func() {
		select {
		case <-all:
			fmt.Println("all were there")
		case <-ctx.Done():
		}
	}()
	_, err := io.Copy(io.Discard, os.Stdin)
	cancel()
	crowd.Wait()
	return err
}

// annoy makes one connection and holds it in its own way until the server closes it. It tells whether there was one.
func annoy(ctx context.Context, server string, config *tls.Config, from net.IP, way int, there func()) bool {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}}
	conn, err := dialer.DialContext(ctx, "tcp", server)
	if err != nil {
		return false
	}
	defer conn.Close()
	release := context.AfterFunc(ctx, func() { conn.Close() })
	defer release()
	switch way % 10 {
	case 0: // a handshake, and no more
		err = tls.Client(conn, config).HandshakeContext(ctx)
	case 1: // what is no TLS, to its end
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
	case 2:
		_, err = io.WriteString(conn, "GET /ca.pem HTTP/1.1\r\nHost: loc")
	case 3: // half a TLS record
		_, err = conn.Write([]byte{22, 3, 1, 2, 0, 1})
	case 4:
		there()
		return drip(ctx, conn)
	}
	there()
	_, _ = io.Copy(io.Discard, conn) // until it is closed
	return err == nil
}

// drip sends a header, a byte a second.
func drip(ctx context.Context, conn net.Conn) bool {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for _, b := range []byte("GET / HTTP/1.1\r\nHost: " + strings.Repeat("x", 1000)) {
		if _, err := conn.Write([]byte{b}); err != nil {
			return true
		}
		select {
		case <-second.C:
		case <-ctx.Done():
		}
	}
	return true
}

// OpenFiles counts the open files of this process.
func OpenFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// openFiles is the limit of open files, 0 where it is not known.
func openFiles() int {
	text, _ := os.ReadFile("/proc/self/limits")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0]) // "unlimited" cannot be
			return n
		}
	}
	return 0
}
