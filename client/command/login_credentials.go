package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"conpaas/client/api"
	"conpaas/client/ui"
)

// credentials gives what logs in; as is what is configured.
func (g *Global) credentials(ctx context.Context, as access, o loginOptions) (api.Login, error) {
	in := api.Login{Username: as.username}
	if in.Username == "" {
		name, err := g.prompt.Line(ctx, "User name:")
		if errors.Is(err, ui.ErrNoTerminal) {
			return in, usagef("as whom? Pass --username")
		} else if err != nil {
			return in, err
		}
		in.Username = name
	}
	password, err := as.password.Reveal(), error(nil)
	if o.passwordFile != "" {
		password, err = g.readPassword(o.passwordFile)
	} else if password == "" {
		password, err = g.prompt.Password(ctx, "Password of "+in.Username+":")
	}
	if err == nil && password == "" {
		err = usagef("the password is empty")
	}
	in.Password = api.Secret(password)
	return in, err
}

func (g *Global) readPassword(name string) (string, error) {
	const most = 4 << 10
	source := g.system.Stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		defer func() { _ = file.Close() }()
		source = file
	}
	data, err := io.ReadAll(io.LimitReader(source, most+1))
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	if len(data) > most {
		return "", fmt.Errorf("read the password: it has more than %d bytes", most)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}
