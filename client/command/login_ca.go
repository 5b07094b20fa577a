package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"conpaas/client/director"
	"conpaas/client/login"
	"conpaas/client/ui"
)

// chooseCA gives the CA to trust and where it came from.
func (g *Global) chooseCA(ctx context.Context, h login.Home, url string, last login.Login, o loginOptions) (director.Authority, string, error) {
	if o.caFile != "" {
		pem, err := os.ReadFile(o.caFile)
		if err != nil {
			return director.Authority{}, "", fmt.Errorf("read the CA certificate: %w", err)
		}
		ca, err := director.ParseAuthority(pem)
		if err != nil {
			return director.Authority{}, "", fmt.Errorf("read the CA certificate %s: %w", o.caFile, err)
		}
		return ca, o.caFile, nil
	}
	if o.fingerprint != "" {
		if err := director.CheckFingerprint(o.fingerprint); err != nil {
			return director.Authority{}, "", usagef("--fingerprint: %w", err)
		}
	} else if url == last.Settings.Director && len(last.Authority.PEM) > 0 {
		return last.Authority, h.Path(login.FileCA), nil
	}
	offered, err := director.FetchAuthority(ctx, url)
	if err != nil {
		return director.Authority{}, "", err
	}
	const origin = "given by the director"
	switch {
	case o.fingerprint != "":
		ca, ok := offered.Only(o.fingerprint)
		if !ok {
			return director.Authority{}, "", failf(exitRefused, "its CA certificate is %s, not the one with the fingerprint %s; nothing was sent to it. Ask its administrator for the right fingerprint",
				strings.Join(offered.Fingerprints, ", "), o.fingerprint)
		}
		return ca, origin, nil
	case offered.Within(last.Authority):
		return offered, origin, nil
	}
	return offered, origin, g.confirmCA(ctx, url, offered)
}

func (g *Global) confirmCA(ctx context.Context, url string, offered director.Authority) error {
	err := g.prompt.Tell(fmt.Sprintf("The director at %s is not known yet. The fingerprint of its CA certificate is\n\n  %s\n",
		url, strings.Join(offered.Fingerprints, "\n  ")))
	sure := false
	if err == nil {
		sure, err = g.prompt.Confirm(ctx, "Is it the one that its administrator gave you?")
	}
	switch {
	case errors.Is(err, ui.ErrNoTerminal):
		return failf(exitRefused, "the director is not known yet and there is no terminal to confirm its CA certificate at; pass --ca FILE, or --fingerprint with what its administrator gave you (the director says %s)",
			strings.Join(offered.Fingerprints, ", "))
	case err == nil && !sure:
		return failf(exitRefused, "the CA certificate was not confirmed; nothing was sent to the director")
	}
	return err
}
