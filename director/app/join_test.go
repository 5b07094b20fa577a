package app_test

import (
	"encoding/json"
	"strings"
	"testing"

	"conpaas/certs"
	"conpaas/client/api"
	"conpaas/director/app"
	"conpaas/director/directortest"
	"conpaas/vpn/wg"
)

// request is a call to join as a node, with a new key.
func request(t *testing.T, node api.NodeID, token api.Secret) api.JoinRequest {
	t.Helper()
	private, err := certs.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := certs.CSR(private)
	if err != nil {
		t.Fatal(err)
	}
	_, public, err := wg.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return api.JoinRequest{Node: node, Token: token, CSR: string(csr), OverlayKey: api.OverlayKey(public), BootID: "b", Version: "v", DataPlane: "none"}
}

func TestJoinTokens(t *testing.T) {
	t.Parallel()
	d := start(t, directortest.Options{})
	ctx, admin, ok := t.Context(), d.Admin(), succeed(t, d)
	must[api.Application](t)(d.CreateApplication(ctx, admin, api.ApplicationCreate{Name: "shop"}))
	ok(d.StartApplication(ctx, admin, "shop"))
	manager := must[[]api.Node](t)(d.ApplicationNodes(ctx, admin, "shop"))[0]
	token := d.Cloud.Token(manager.ID)

	// The token was used by the machine itself, with a key that nobody else has.
	_, err := d.Join(ctx, request(t, manager.ID, token))
	if api.CodeFrom(err) != api.CodeForbidden || !strings.Contains(err.Error(), "used with another key") {
		t.Errorf("a used token with another key: %v, want forbidden", err)
	}
	events := must[api.List[api.Event]](t)(d.Events(ctx, admin, "shop", app.Page{}))
	text, _ := json.Marshal(events.Items)
	if !strings.Contains(string(text), `"kind":"node.token_reused"`) {
		t.Errorf("no alarm about the reused token in the history: %s", text)
	}
	for name, in := range map[string]api.JoinRequest{
		"wrong token":    request(t, manager.ID, "0123456789abcdef"),
		"no token":       request(t, manager.ID, ""),
		"unknown node":   request(t, "n999", token),
		"not a node":     request(t, "../../etc", token),
		"another's name": request(t, "n2", token),
	} {
		if _, err := d.Join(ctx, in); api.CodeFrom(err) != api.CodeForbidden {
			t.Errorf("%s: %v, want forbidden", name, err)
		}
	}
	bad := request(t, manager.ID, token)
	bad.CSR = "no request"
	if _, err := d.Join(ctx, bad); api.CodeFrom(err) != api.CodeInvalid {
		t.Errorf("bad CSR: %v, want invalid", err)
	}

	// A node that was removed cannot come back.
	ok(d.StopApplication(ctx, admin, "shop"))
	if _, err := d.Join(ctx, request(t, manager.ID, token)); api.CodeFrom(err) != api.CodeForbidden {
		t.Errorf("the token of a removed node: %v, want forbidden", err)
	}
}
