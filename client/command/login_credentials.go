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

func (g *Global) credentials(ctx context.Context, last login, o loginOptions) (api.Login, error) {
	in := api.Login{Username: o.username}
	if in.Username == "" {
		in.Username = last.settings.Username
	}
	if in.Username == "" {
		name, err := g.prompt.Line(ctx, "User name:")
		if errors.Is(err, ui.ErrNoTerminal) {
			return in, usagef("as whom? Pass --username")
		} else if err != nil {
			return in, err
		}
		in.Username = name
	}
	var password string
	var err error
	if o.passwordFile == "" {
		password, err = g.prompt.Password(ctx, "Password of "+in.Username+":")
	} else {
		password, err = g.readPassword(o.passwordFile)
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
