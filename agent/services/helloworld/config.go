package helloworld

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/netip"
	"unicode/utf8"

	"conpaas/agent/service"
	"conpaas/client/api"
)

// Files below the agent's state directory.
const (
	pageDir  = "services/helloworld"
	pageFile = pageDir + "/index.html"
)

const maxGreeting = 4096 // bytes

// config is what the role is to be, checked and with everything that the machine adds.
type config struct {
	listen []netip.AddrPort // the first is the one that is asked whether the page is there
	page   []byte
	drain  bool
}

// pageText is the whole of what a visitor sees. The template escapes greeting and node.
var pageText = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{{.Greeting}}</title></head>
<body>
<h1>{{.Greeting}}</h1>
<p>This page comes from node <code>{{.Node}}</code>.</p>
</body>
</html>
`))

// decode reads a role configuration, which may be hostile.
func decode(data api.RawJSON, n service.Node) (config, error) {
	var c api.HelloworldConfig
	if err := json.Unmarshal(data, &c); err != nil {
		return config{}, fmt.Errorf("configuration of role %s: %w", api.HelloworldNode, err)
	}
	if len(c.Greeting) > maxGreeting {
		return config{}, fmt.Errorf("the greeting has %d bytes; at most %d are allowed", len(c.Greeting), maxGreeting)
	}
	if !utf8.ValidString(c.Greeting) {
		return config{}, fmt.Errorf("the greeting %q is not valid UTF-8", c.Greeting)
	}
	if c.Node != n.ID {
		return config{}, fmt.Errorf("the configuration is for node %q, and this is %q", c.Node, n.ID)
	}
	if c.Listen.Port() == 0 {
		return config{}, fmt.Errorf("the configuration names no port to listen on (listen is %q)", c.Listen)
	}
	if n.Active && c.Listen.Addr() != n.Address {
		return config{}, fmt.Errorf("the configuration says to listen on %s, and this node's overlay address is %s", c.Listen.Addr(), n.Address)
	}
	var text bytes.Buffer
	if err := pageText.Execute(&text, c); err != nil {
		return config{}, fmt.Errorf("make the page: %w", err)
	}
	return config{listen: listens(c, n), page: text.Bytes(), drain: c.Drain}, nil
}

// listens gives what the server binds. A machine of its own takes the outside port on every address, so that
// it goes on when the cloud gives the machine another one; the packet filter keeps the rest out.
func listens(c api.HelloworldConfig, n service.Node) []netip.AddrPort {
	outside := n.Address
	if n.Active {
		outside = netip.IPv4Unspecified()
	}
	inside := netip.AddrPortFrom(n.Address, c.Listen.Port())
	switch {
	case c.Outside == 0 || c.Outside == inside.Port() && !n.Active:
		return []netip.AddrPort{inside}
	case c.Outside == inside.Port():
		return []netip.AddrPort{netip.AddrPortFrom(outside, c.Outside)}
	}
	return []netip.AddrPort{inside, netip.AddrPortFrom(outside, c.Outside)}
}
