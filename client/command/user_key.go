package command

import (
	"context"
	"fmt"
	"os"
	"time"

	"conpaas/client/daemon"
	"conpaas/client/director"
	"conpaas/client/ui"
)

// renewKey renews the certificate that a command has called by: after two thirds of its life, counted from when it came here,
// and in a rotation, when a newer authority is about to replace the one that has signed it. As with renewCA the next command
// tries again.
func (g *Global) renewKey(ctx context.Context, c *director.Client) {
	const pause = time.Hour // in a rotation, where the answer may be of the old authority still
	if c.CertificateSerial() == "" {
		return
	}
	now, err := g.connection()
	if err != nil {
		return
	}
	info, err := os.Stat(now.access.key)
	if err != nil {
		return
	}
	age, left := time.Since(info.ModTime()), time.Until(c.CertificateExpires())
	outlived := age > pause && c.CertificateOutlived(now.login.Authority.PEM)
	if !outlived && age < 2*left {
		return
	}
	if err := g.replaceKey(ctx, c, now.access.key); err != nil {
		fmt.Fprintln(g.err, ui.Clean(fmt.Sprintf("cps: the certificate in %s, good until %s, was not renewed: %v", now.access.key, at(c.CertificateExpires()), err)))
	}
}

// replaceKey renews the certificate in a file.
func (g *Global) replaceKey(ctx context.Context, c *director.Client, name string) error {
	f, err := c.RenewCertificate(ctx)
	if err != nil {
		return err
	}
	return daemon.WriteFile(name, f.PEM, 0o600)
}
