// Package userdata makes the first-boot script of a machine: it writes the bootstrap file, fetches the
// code from the director, verifies it and starts it.
//
// It knows nothing of clouds or of the database. The script needs sh, curl and openssl on the image, runs
// again at every boot, and is the same for containers, processes and virtual machines.
package userdata

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"text/template"

	"conpaas/client/api"
)

//go:embed boot.sh.tmpl
var bootScript string

var boot = template.Must(template.New("boot").Option("missingkey=error").
	Funcs(template.FuncMap{"quote": quote}).Parse(bootScript))

// Script gives the user-data of one machine. Its bootstrap holds a join token and no other secret. What a shell would not
// print as it is here is refused.
func Script(b api.Bootstrap) ([]byte, error) {
	director, err := url.Parse(b.Director)
	if err != nil || director.Scheme != "https" || director.Hostname() == "" {
		return nil, fmt.Errorf("user-data of node %s: director URL %q is not https://host:port", b.Node, b.Director)
	}
	program := map[string]string{api.KindManager: "cpsmanager", api.KindAgent: "cpsagent"}[b.Kind]
	if program == "" {
		return nil, fmt.Errorf("user-data of node %s: kind %q is neither manager nor agent", b.Node, b.Kind)
	}
	b.Listen = "" // comes from the machine: see boot.sh.tmpl
	document, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("user-data of node %s: %w", b.Node, err)
	}
	connect := ""
	if b.Address != "" {
		connect = director.Host + ":" + b.Address
	}
	var out bytes.Buffer
	err = boot.Execute(&out, map[string]any{
		"Bootstrap": strings.TrimSuffix(string(document), "}"),
		"CA":        b.CA,
		"PublicKey": b.Code.PublicKey,
		"Issued":    b.Issued.Unix(),
		"URL":       strings.TrimSuffix(b.Director, "/") + "/download/code/" + url.PathEscape(b.Code.Version),
		"Connect":   connect,
		"Version":   b.Code.Version,
		"Program":   program,
	})
	if err == nil && bytes.IndexByte(out.Bytes(), 0) >= 0 {
		err = fmt.Errorf("user-data of node %s: it would hold a zero byte, which a shell leaves out", b.Node)
	}
	if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// quote makes one word of a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
