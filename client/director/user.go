package director

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"conpaas/client/api"
)

// Version tells what the director runs. It needs no login.
func (c *Client) Version(ctx context.Context) (api.Version, error) {
	return get[api.Version](ctx, c, path("version"))
}

// Login exchanges name and password for a token.
func (c *Client) Login(ctx context.Context, in api.Login) (api.Token, error) {
	return post[api.Token](ctx, c, path("login"), in)
}

// Register makes an account for oneself, where the installation allows it. It needs no login.
func (c *Client) Register(ctx context.Context, in api.UserCreate) (api.User, error) {
	return post[api.User](ctx, c, path("register"), in)
}

// Logout makes the client's token worthless.
func (c *Client) Logout(ctx context.Context) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, path("logout"), nil)
	return err
}

// Me gives the user that the token belongs to.
func (c *Client) Me(ctx context.Context) (api.User, error) {
	return get[api.User](ctx, c, path("users", "me"))
}

// Users lists all users; it is for administrators.
func (c *Client) Users(ctx context.Context) ([]api.User, error) {
	return list[api.User](ctx, c, path("users"), nil)
}

// User gives a user by name or id; Self is the one that the token belongs to. Others are there for administrators only.
func (c *Client) User(ctx context.Context, user string) (api.User, error) {
	return get[api.User](ctx, c, path("users", user))
}

// Self is how a user names itself.
const Self = "me"

// CreateUser adds a user; it is for administrators.
func (c *Client) CreateUser(ctx context.Context, in api.UserCreate) (api.User, error) {
	return post[api.User](ctx, c, path("users"), in)
}

// ChangeUser changes what is not nil in in.
func (c *Client) ChangeUser(ctx context.Context, user string, in api.UserChange) (api.User, error) {
	return send[api.User](ctx, c, http.MethodPatch, path("users", user), in)
}

// ChangePassword gives a user another password and ends its tokens and certificates.
func (c *Client) ChangePassword(ctx context.Context, user string, in api.PasswordChange) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, path("users", user, "password"), in)
	return err
}

// DeleteUser removes a user. One who has applications is refused, or closed now and gone with the last of them.
func (c *Client) DeleteUser(ctx context.Context, user string, withApplications bool) error {
	query := url.Values{}
	if withApplications {
		query.Set("with_applications", "true")
	}
	_, err := send[struct{}](ctx, c, http.MethodDelete, with(path("users", user), query), nil)
	return err
}

// Tokens lists the tokens of a user, those of logins too, without their text.
func (c *Client) Tokens(ctx context.Context, user string) ([]api.UserToken, error) {
	return list[api.UserToken](ctx, c, path("users", user, "tokens"), nil)
}

// CreateToken makes a token for a program of the user that calls.
func (c *Client) CreateToken(ctx context.Context, in api.TokenCreate) (api.TokenCreated, error) {
	return post[api.TokenCreated](ctx, c, path("users", Self, "tokens"), in)
}

// RevokeToken ends a token by name or id.
func (c *Client) RevokeToken(ctx context.Context, user, token string) error {
	_, err := send[struct{}](ctx, c, http.MethodDelete, path("users", user, "tokens", token), nil)
	return err
}

// ExportUser gives what the director knows of a user. It may be long.
func (c *Client) ExportUser(ctx context.Context, user string) (out api.UserExport, err error) {
	body, err := stream(ctx, c, http.MethodGet, path("users", user, "export"), nil)
	if err != nil {
		return out, err
	}
	defer func() { _ = body.Close() }()
	if err := json.NewDecoder(body).Decode(&out); err != nil {
		return api.UserExport{}, api.Errorf(api.CodeUnavailable, "the answer broke off: %v; try again", err)
	}
	return out, nil
}

// BeginTOTP makes a second factor for the user that calls; ConfirmTOTP lets it count.
func (c *Client) BeginTOTP(ctx context.Context, in api.TOTPBegin) (api.TOTPSecret, error) {
	return post[api.TOTPSecret](ctx, c, path("users", Self, "totp"), in)
}

// ConfirmTOTP gives the first code, and gets the recovery codes.
func (c *Client) ConfirmTOTP(ctx context.Context, in api.TOTPConfirm) (api.RecoveryCodes, error) {
	return post[api.RecoveryCodes](ctx, c, path("users", Self, "totp", "confirm"), in)
}

// EndTOTP takes the second factor of a user away; those of others are for administrators.
func (c *Client) EndTOTP(ctx context.Context, user string, in api.TOTPEnd) error {
	_, err := send[struct{}](ctx, c, http.MethodPost, path("users", user, "totp", "end"), in)
	return err
}
