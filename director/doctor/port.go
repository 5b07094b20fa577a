package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"conpaas/director/store"
)

// port tells whether the TCP port is free for the director or held by it, and looks at the certificate that is shown there.
func (m machine) port(ctx context.Context, h Host, e store.Examination) []Finding {
	f := Finding{Check: "port", State: OK}
	err := tryTCP(ctx, h.Listen)
	switch {
	case err == nil && e.Director == 0:
		f.Detail = h.Listen + " is free"
		return []Finding{f}
	case err == nil:
		return []Finding{{
			f.Check, Error, fmt.Sprintf("a director runs (process %d) and has not this port, %s", e.Director, h.Listen),
			"give this command the --listen of the running director",
		}}
	case !errors.Is(err, unix.EADDRINUSE):
		return []Finding{{f.Check, Error, err.Error(), "choose an address of this host with --listen; ports below 1024 need root"}}
	case e.Director == 0:
		return []Finding{{f.Check, Error, h.Listen + " is in use, and not by a director on this data folder", "see who has it with ss -ltnp and end that, or choose another port with --listen and in DIRECTOR_URL"}}
	}
	trusted := x509.NewCertPool()
	for _, text := range e.Authorities {
		trusted.AppendCertsFromPEM(text)
	}
	shown, err := handshake(ctx, h, trusted)
	if err != nil {
		return []Finding{{f.Check, Error, fmt.Sprintf("a director runs (process %d), and %s does not answer: %v", e.Director, h.Listen, err), "see its log; where nothing helps, restart it: machines go on without it"}}
	}
	f.Detail = fmt.Sprintf("the director (process %d) answers at %s", e.Director, h.Listen)
	return []Finding{f, m.shown(h.Config.URL.Hostname(), trusted, shown)}
}

// shown looks at the certificate that the running director shows.
func (m machine) shown(host string, trusted *x509.CertPool, c *x509.Certificate) Finding {
	f := m.life("certificate", c)
	if f.State != OK {
		f.Remedy = "the director renews its certificate by itself at two thirds of its life: see its log, and restart it"
	}
	if err := c.VerifyHostname(host); err != nil {
		return Finding{f.Check, Error, fmt.Sprintf("it is not for the host of DIRECTOR_URL: %v", err), "restart the director, which makes one for the present DIRECTOR_URL"}
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: trusted, CurrentTime: c.NotBefore.Add(time.Second), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return Finding{f.Check, Error, "who answers has no certificate of this installation: " + err.Error(), "see with ss -ltnp who has the port"}
	}
	f.Detail = "for " + host + ", " + f.Detail
	return f
}

// handshake gives the certificate that is shown at the port, whoever has signed it: shown judges it.
func handshake(ctx context.Context, h Host, trusted *x509.CertPool) (*x509.Certificate, error) {
	const wait = 5 * time.Second
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	host, port, err := net.SplitHostPort(h.Listen)
	if err != nil {
		return nil, err
	}
	if at, err := netip.ParseAddr(host); host == "" || err == nil && at.IsUnspecified() {
		host = "localhost"
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: trusted, ServerName: h.Config.URL.Hostname(), MinVersion: tls.VersionTLS12}}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(bad.UnverifiedCertificates) > 0 {
		return bad.UnverifiedCertificates[0], nil
	}
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

func tryTCP(ctx context.Context, address string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}

// relayPort tells whether the UDP port of the director's relay is free for it, or held by it: process pid, 0 where none runs.
func relayPort(ctx context.Context, at netip.AddrPort, pid int, err error) Finding {
	f := Finding{Check: "relay port", State: OK}
	if err != nil {
		return Finding{f.Check, Warning, err.Error(), "run this as the user that the director runs as"}
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", at.String())
	if err == nil {
		err = conn.Close()
	}
	switch {
	case err == nil && pid == 0:
		f.Detail = fmt.Sprintf("UDP %s is free", at)
	case err == nil:
		f.State, f.Detail = Warning, fmt.Sprintf("the relay runs (process %d) and has not UDP %s", pid, at)
		f.Remedy = "give this command the --listen of the running director; where it is the same, restart the director"
	case errors.Is(err, unix.EADDRINUSE) && pid != 0:
		f.Detail = fmt.Sprintf("the relay (process %d) has UDP %s", pid, at)
	case errors.Is(err, unix.EADDRINUSE):
		f.State, f.Detail = Error, fmt.Sprintf("UDP %s is in use, and the relay does not run", at)
		f.Remedy = "see who has it with ss -lunp and end that, or set RELAY_PORT to another port"
	default:
		f.State, f.Detail, f.Remedy = Error, err.Error(), "set RELAY_PORT to a port that can be opened"
	}
	return f
}
