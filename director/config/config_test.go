package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"conpaas/director/cloud"
	"conpaas/vpn"
)

// kinds are clouds with the keys that the original's had.
func kinds() map[string][]cloud.Option {
	options := func(names ...string) (out []cloud.Option) {
		for _, name := range names {
			name, required := strings.CutSuffix(name, "!")
			out = append(out, cloud.Option{Name: name, Help: "help on " + name, Required: required, Secret: name == "PASSWORD"})
		}
		return out
	}
	return map[string][]cloud.Option{
		"local": {
			{Name: "RUNTIME", Help: "container or process", Default: "container"},
			{Name: "SUBNET", Help: "network of the machines", Default: "10.210.0.0/16"},
		},
		"ec2":        options("USER!", "PASSWORD!", "SECURITY_GROUP_NAME", "KEY_NAME", "REGION", "IMAGE_ID!", "SIZE_ID"),
		"openstack":  options("USER!", "PASSWORD!", "HOST!", "IMAGE_ID!", "SIZE_ID!", "KEY_NAME", "SECURITY_GROUP_NAME", "NETWORK_ID"),
		"opennebula": options("URL!", "USER!", "PASSWORD!", "IMAGE_ID!", "INST_TYPE", "NET_ID", "PORT"),
	}
}

func options() Options { return Options{Kinds: kinds(), Dir: "/data", Host: "paas.example.org"} }

func plan(t testing.TB, prefix string, bits int) vpn.Plan {
	t.Helper()
	p, err := vpn.NewPlan(netip.MustParsePrefix(prefix), bits)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func diff(want, got *Config) string {
	return cmp.Diff(want, got, cmp.AllowUnexported(Cloud{}), cmp.Comparer(func(a, b vpn.Plan) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }))
}

func local() Cloud {
	return Cloud{
		Name: "default", Kind: "local", Options: map[string]string{"RUNTIME": "container", "SUBNET": "10.210.0.0/16"},
		secret: map[string]bool{"RUNTIME": false, "SUBNET": false},
	}
}

func lives() Lives {
	return Lives{Node: 720 * time.Hour, Grace: 2160 * time.Hour, Director: 2160 * time.Hour, CA: 87600 * time.Hour, Audit: 8760 * time.Hour, Volume: 168 * time.Hour}
}

func TestLives(t *testing.T) {
	text := "[director]\nNODE_CERT_LIFE = 20s\nNODE_CERT_GRACE = 30s\nDIRECTOR_CERT_LIFE = 24h\nCA_LIFE = 8760h\n"
	c, err := Parse("f", []byte(text), options())
	if err != nil {
		t.Fatal(err)
	}
	if want := (Lives{Node: 20 * time.Second, Grace: 30 * time.Second, Director: 24 * time.Hour, CA: 8760 * time.Hour, Audit: 8760 * time.Hour, Volume: 168 * time.Hour}); c.Lives != want {
		t.Errorf("%+v, want %+v", c.Lives, want)
	}
	if shown := c.Show(); !strings.Contains(shown, "NODE_CERT_LIFE = 20s\nNODE_CERT_GRACE = 30s\nDIRECTOR_CERT_LIFE = 24h\nCA_LIFE = 8760h\n") {
		t.Errorf("it is shown as:\n%s", shown)
	}
}

func TestDefaults(t *testing.T) {
	want := &Config{
		Deployment: "conpaas", VPN: VPN{Plan: plan(t, "172.16.0.0/12", 5)}, Clouds: []Cloud{local()},
		Dir: "/data", Database: "/data/director.db", MaxVMs: 100, URL: &url.URL{Scheme: "https", Host: "paas.example.org:5555"}, Lives: lives(), InitialCredit: 50, MaxCredit: 50,
	}
	for _, text := range []string{"", "\n# nothing\n", "[conpaas]\n[iaas]\n[director]\n", "[iaas]\nDRIVER =\n"} {
		got, err := Parse("", []byte(text), options())
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", text, d)
		}
	}
	c, err := Parse("", nil, Options{Kinds: kinds()})
	if err != nil || c.Dir != "/var/lib/cpsdirector" || c.URL.String() != "https://localhost:5555" {
		t.Errorf("without options: %+v, %v", c, err)
	}
}

func read(t testing.TB, name string) *Config {
	t.Helper()
	c, err := Load(filepath.Join("testdata", name), options())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestExamples(t *testing.T) {
	t.Run("default", func(t *testing.T) {
		c := read(t, "default.cfg")
		want := &Config{
			File: "testdata/default.cfg", Deployment: "conpaas", VPN: VPN{Plan: plan(t, "172.16.0.0/12", 5)}, Clouds: []Cloud{local()}, Debug: true, MaxVMs: 100,
			Dir: "/etc/cpsdirector/data", Database: "/etc/cpsdirector/director.db", URL: &url.URL{Scheme: "https", Host: "director.example.org:5555"}, Lives: lives(), InitialCredit: 50, MaxCredit: 50,
			Notes: []string{
				"CONF_DIR has no effect: the configuration is the file named at the start",
				"CERT_DIR has no effect: certificates and keys are in the database",
			},
		}
		if d := diff(want, c); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	})
	t.Run("several clouds", func(t *testing.T) {
		c := read(t, "multicloud.cfg")
		var got []string
		for _, cloud := range c.Clouds {
			got = append(got, fmt.Sprintf("%s:%s %s %d", cloud.Name, cloud.Kind, cloud.DirectorAddress, cloud.MaxVMs))
		}
		if want := []string{"default:openstack  0", "ec2virginia:ec2 203.0.113.5:5555 9", "amsterdam:opennebula  0"}; !slices.Equal(got, want) {
			t.Errorf("clouds %q, want %q", got, want)
		}
		if c.Deployment != "two-clouds" {
			t.Errorf("deployment %q", c.Deployment)
		}
		want := map[string]string{
			"USER": "conpaas", "PASSWORD": `p#ss;word=%(x)s "quoted"`, "HOST": "https://controller.example.org:5000/v3", "IMAGE_ID": "conpaas-image",
			"SIZE_ID": "m1.small", "KEY_NAME": "key", "SECURITY_GROUP_NAME": "conpaas", "NETWORK_ID": "",
		}
		if d := cmp.Diff(want, c.Clouds[0].Options); d != "" {
			t.Errorf("options (-want +got):\n%s", d)
		}
	})
	t.Run("connectors", func(t *testing.T) {
		c := read(t, "connectors.cfg")
		var got []string
		for _, cloud := range c.Clouds {
			got = append(got, cloud.Name+":"+cloud.Kind+":"+cloud.Options["USER"])
		}
		if want := []string{"default:local:", "local:local:", "EAST:ec2:a", "west:ec2:c"}; !slices.Equal(got, want) {
			t.Errorf("clouds %q, want %q", got, want)
		}
		want := []BootstrapNode{
			{Endpoint: netip.MustParseAddrPort("192.0.2.1:5557"), Key: "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="},
			{Endpoint: netip.MustParseAddrPort("198.51.100.7:4000"), Key: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
			{Endpoint: netip.MustParseAddrPort("203.0.113.9:5557"), Key: "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="},
		}
		if !slices.Equal(c.VPN.Bootstrap, want) {
			t.Errorf("bootstrap nodes %v", c.VPN.Bootstrap)
		}
		if c.VPN.Plan != plan(t, "10.64.0.0/10", 8) || c.MaxVMs != 120 {
			t.Errorf("plan %v, limit %d", c.VPN.Plan, c.MaxVMs)
		}
	})
}

// What this version cannot do is said all at once, with the lines.
func TestOldExampleSaysWhatIsMissing(t *testing.T) {
	_, err := Load("testdata/multicloud-1x.cfg", options())
	want := strings.Join([]string{
		"testdata/multicloud-1x.cfg:4: SUPPORT_OPENID: not supported by this version; remove it, or leave it at false",
		"testdata/multicloud-1x.cfg:15: COST_PER_TIME: not supported by this version; remove it",
		"testdata/multicloud-1x.cfg:18: OTHER_CLOUDS: there is no section [amsterdam]",
		"testdata/multicloud-1x.cfg:29: COST_PER_TIME: not supported by this version; remove it",
		"testdata/multicloud-1x.cfg:34: DATABASE_URI = mysql:…: not supported by this version; want sqlite:///PATH",
	}, "\n")
	if d := cmp.Diff(want, fmt.Sprint(err)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestMistakes(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":            {"[conpaas]\nVPN_NETMAKS = 255.0.0.0\n", "f:2: unknown key VPN_NETMAKS in [conpaas]; the nearest known one is VPN_NETMASK"},
		"unknown cloud option":   {"[iaas]\nDRIVER = local\nSUBNETT = 10.0.0.0/8\n", "f:3: unknown key SUBNETT in [iaas]; the nearest known one is SUBNET"},
		"misplaced key":          {"[iaas]\n\nDIRECTOR_URL = https://x:1\n", "f:3: unknown key DIRECTOR_URL in [iaas]; it belongs in [director]"},
		"unknown section":        {"[driector]\nDEBUG = true\n", "f:1: unknown section [driector]; the nearest known one is [director]"},
		"empty unknown section":  {"[amsterdam]\n", "f:1: unknown section [amsterdam]"},
		"section DEFAULT":        {"[DEFAULT]\nDEBUG = true\n", "f:1: unknown section [DEFAULT]"},
		"key twice":              {"[director]\nDEBUG = true\ndebug = false\n", "f:3: debug is in line 2 already"},
		"section twice":          {"[director]\n[iaas]\n[director]\n", "f:3: section [director] is in line 1 already"},
		"before a section":       {"DEBUG = true\n", "f:1: DEBUG stands before the first [section]"},
		"no key":                 {"[iaas]\nlocal\n", "f:2: want KEY = value, a [section] or a comment"},
		"broken section":         {"[iaas\n", "f:1: [iaas: want a section like [iaas]"},
		"indented key":           {"[director]\nDEBUG = true\n  DIRECTOR_URL = https://x:1\n", "f:3: the line is indented and would belong to DEBUG above"},
		"backquote":              {"[director]\nUSERDATA_DIR = `/x\n", "f:2: USERDATA_DIR: a value cannot begin with `"},
		"no text":                {"[director]\n\x00", "f: it is not UTF-8 text"},
		"control character":      {"[director]\nDEBUG = tr\x07ue\n", "f:2: it has a control character"},
		"large":                  {strings.Repeat("#", largest+1), "f: it has 1048577 bytes, at most 1048576 are read"},
		"later feature":          {"[conpaas]\nSUPPORT_OPENID = yes\n", "f:2: SUPPORT_OPENID: not supported by this version; remove it, or leave it at false"},
		"deployment":             {"[conpaas]\nDEPLOYMENT_NAME = Big Cloud\n", "f:2: DEPLOYMENT_NAME: invalid identity: deployment name"},
		"bool":                   {"[director]\nDEBUG = maybe\n", "f:2: DEBUG = maybe: want true or false"},
		"life without a unit":    {"[director]\nNODE_CERT_LIFE = 30\n", "f:2: NODE_CERT_LIFE = 30: want a time like 720h, from 10s to 8760h"},
		"life too short":         {"[director]\nCA_LIFE = 1h\n", "f:2: CA_LIFE = 1h: want a time like 87600h, from 24h to 262800h"},
		"grace too long":         {"[director]\nNODE_CERT_GRACE = 3000h\n", "from 1s to 2160h"},
		"postgres":               {"[director]\nDATABASE_URI = postgresql://u:secret@h/db\n", "f:2: DATABASE_URI = postgresql:…: not supported by this version; want sqlite:///PATH"},
		"memory":                 {"[director]\nDATABASE_URI = sqlite://\n", "want sqlite:///PATH"},
		"sqlite without a path":  {"[director]\nDATABASE_URI = sqlite:///\n", "want sqlite:///PATH with the path of a file"},
		"relative directory":     {"[director]\nUSERDATA_DIR = data\n", "f:2: USERDATA_DIR = data: want an absolute path"},
		"http":                   {"[director]\nDIRECTOR_URL = http://x:5555\n", "f:2: DIRECTOR_URL = http://x:5555: want https://HOST:PORT"},
		"path":                   {"[director]\nDIRECTOR_URL = https://x:5555/conpaas\n", "want https://HOST:PORT, and nothing behind it"},
		"no port":                {"[director]\nDIRECTOR_URL = https://x\n", "f:2: DIRECTOR_URL = https://x: name the port, for example https://x:5555"},
		"bad host":               {"[director]\nDIRECTOR_URL = https://a_b:5555\n", "want https://HOST:PORT"},
		"director in overlay":    {"[director]\nDIRECTOR_URL = https://172.17.0.1:5555\n", "f:2: DIRECTOR_URL: 172.17.0.1 lies in the overlay network 172.16.0.0/12"},
		"base":                   {"[conpaas]\nVPN_BASE_NETWORK = 172.16.0.0/12\n", "f:2: VPN_BASE_NETWORK = 172.16.0.0/12: want an address"},
		"mask":                   {"[conpaas]\nVPN_NETMASK = 255.0.255.0\n", `f:2: VPN_NETMASK: netmask "255.0.255.0"`},
		"bits":                   {"[conpaas]\nVPN_SERVICE_BITS = five\n", "f:2: VPN_SERVICE_BITS = five: want a number"},
		"too many bits":          {"[conpaas]\nVPN_SERVICE_BITS = 20\n", "20 service bits leave no room for agents"},
		"host bits":              {"[conpaas]\nVPN_BASE_NETWORK = 172.17.0.0\n", "bits are set behind the prefix length, did you mean 172.16.0.0/12?"},
		"bootstrap protocol":     {"[conpaas]\nVPN_BOOTSTRAP_NODES = tcp://192.0.2.1:1\n", `f:2: VPN_BOOTSTRAP_NODES: "tcp://192.0.2.1:1": want one udp://ADDRESS:PORT KEY per line`},
		"bootstrap list":         {"[conpaas]\nVPN_BOOTSTRAP_NODES = udp://192.0.2.1:1, udp://192.0.2.2:1\n", "want one udp://ADDRESS:PORT KEY per line"},
		"bootstrap key":          {"[conpaas]\nVPN_BOOTSTRAP_NODES = udp://192.0.2.1:1 AAEC\n", "the key is no WireGuard public key"},
		"bootstrap without key":  {"[conpaas]\nVPN_BOOTSTRAP_NODES = udp://192.0.2.1:1\n", "cpsdirector relay line"},
		"bootstrap key twice":    {"[conpaas]\nVPN_BOOTSTRAP_NODES =\n udp://192.0.2.1:1 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n udp://192.0.2.2:1 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n", "has the key of 192.0.2.1:1"},
		"bootstrap IPv6":         {"[conpaas]\nVPN_BOOTSTRAP_NODES = udp://[2001:db8::1]:1 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n", "the address is IPv4"},
		"self-registration":      {"[director]\nSELF_REGISTRATION = perhaps\n", "f:2: SELF_REGISTRATION = perhaps: want true or false"},
		"relay port":             {"[director]\nRELAY_PORT = 70000\n", "f:2: RELAY_PORT = 70000: want a UDP port"},
		"bootstrap twice":        {"[conpaas]\nVPN_BOOTSTRAP_NODES =\n udp://192.0.2.1:1 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n udp://192.0.2.1:1 AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=\n", "f:2: VPN_BOOTSTRAP_NODES: 192.0.2.1:1 is named twice"},
		"bootstrap in overlay":   {"[conpaas]\nVPN_BOOTSTRAP_NODES = udp://172.20.0.1:1 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n", "172.20.0.1 lies in the overlay network"},
		"subnet in overlay":      {"[iaas]\nSUBNET = 172.16.0.0/24\n", "f:2: SUBNET = 172.16.0.0/24 overlaps the overlay network 172.16.0.0/12"},
		"unknown kind":           {"[iaas]\nDRIVER = dummy\nUSER = x\n", `f:2: DRIVER: this version has no kind of cloud "dummy"; it has ec2, local, opennebula, openstack`},
		"missing option":         {"[iaas]\nDRIVER = ec2\nUSER = a\nPASSWORD = b\n", "f:1: [iaas] has no IMAGE_ID: help on IMAGE_ID"},
		"missing section":        {"[iaas]\nOTHER_CLOUDS = a\n", "f:2: OTHER_CLOUDS: there is no section [a]"},
		"missing driver":         {"[iaas]\nOTHER_CLOUDS = a\n[a]\nUSER = x\n", "f:3: [a] has no DRIVER; the kinds of clouds are ec2, local, opennebula, openstack"},
		"cloud twice":            {"[iaas]\nOTHER_CLOUDS = a, a\n[a]\nDRIVER = local\n", "f:2: OTHER_CLOUDS: the cloud a is named twice"},
		"cloud in both lists":    {"[iaas]\nOTHER_CLOUDS = a\nCONNECTORS = a:local\n[a]\nDRIVER = local\n", "f:3: CONNECTORS: the cloud a is named twice"},
		"reserved name":          {"[iaas]\nCONNECTORS = default:ec2\n", "f:2: CONNECTORS: a cloud cannot be named default"},
		"bad name":               {"[iaas]\nCONNECTORS = a b:ec2\n", `f:2: CONNECTORS: "a b" cannot be the name of a cloud`},
		"connector kind":         {"[iaas]\nCONNECTORS = a:EC3\n[a]\nUSER = x\n", `f:2: CONNECTORS: this version has no kind of cloud "ec3"`},
		"two kinds":              {"[iaas]\nCONNECTORS = a:ec2\n[a]\nDRIVER = local\n", "f:2: CONNECTORS: a is of kind ec2 here and of kind local in its section"},
		"option of another kind": {"[iaas]\nCONNECTORS = a:local\n[a]\nUSER = x\n", "f:4: unknown key USER in [a]"},
		"list in another cloud":  {"[iaas]\nCONNECTORS = a:local\n[a]\nOTHER_CLOUDS = x\n", "f:4: unknown key OTHER_CLOUDS in [a]; it belongs in [iaas]"},
		"director address":       {"[iaas]\nDIRECTOR_ADDRESS = 192.0.2.1\n", "f:2: DIRECTOR_ADDRESS = 192.0.2.1: want HOST:PORT"},
		"address in overlay":     {"[iaas]\nDIRECTOR_ADDRESS = 172.31.0.1:5555\n", "f:2: DIRECTOR_ADDRESS: 172.31.0.1 lies in the overlay network"},
		"limit":                  {"[iaas]\nMAX_VMS = many\n", "f:2: MAX_VMS = many: want a number of machines"},
		"negative limit":         {"[iaas]\nMAX_VMS_ALL_CLOUDS = -1\n", "f:2: MAX_VMS_ALL_CLOUDS = -1: want a number of machines"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f", []byte(test.text), options())
			if err == nil {
				t.Fatalf("accepted, want %q", test.want)
			}
			if got := err.Error(); !strings.Contains(got, test.want) || strings.Contains(got, "\n") || strings.Contains(got, "secret") {
				t.Errorf("error %q, want one line with %q", got, test.want)
			}
		})
	}
}

func TestLaterKeysAtTheirDefault(t *testing.T) {
	text := "[conpaas]\nSUPPORT_OPENID = No\nSUPPORT_EXTERNAL_IDP = 0\nEXTERNAL_IDPS =\njs_debug_level = 0\n" +
		"[iaas]\nPORT = 8999\nMAXNODES = 20\nCOST_PER_TIME =\nSPEEDFACTOR = 1\n"
	if _, err := Parse("f", []byte(text), options()); err != nil {
		t.Error(err)
	}
	// A cloud may have an option of the same name.
	text = "[iaas]\nDRIVER = opennebula\nURL = x\nUSER = x\nPASSWORD = x\nIMAGE_ID = 1\nPORT = 1\n"
	c, err := Parse("f", []byte(text), options())
	if err != nil || c.Clouds[0].Options["PORT"] != "1" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestDatabasePaths(t *testing.T) {
	for uri, want := range map[string]string{
		"sqlite:////etc/x/../director.db": "/etc/director.db",
		"sqlite:///sub/director.db":       "/data/sub/director.db",
	} {
		c, err := Parse("f", []byte("[director]\nDATABASE_URI = "+uri+"\n"), options())
		if err != nil || c.Database != want {
			t.Errorf("%s: %+v, %v", uri, c, err)
		}
	}
}

func TestShowHidesSecretsAndReadsBack(t *testing.T) {
	for _, name := range []string{"default.cfg", "multicloud.cfg", "connectors.cfg"} {
		t.Run(name, func(t *testing.T) {
			c := read(t, name)
			shown := c.Show()
			for _, secret := range []string{"p#ss", "very-secret", "inside", "= password", "= b\n", "= d\n"} {
				if strings.Contains(shown, secret) || strings.Contains(fmt.Sprint(c, c.Clouds), secret) {
					t.Errorf("%q is shown:\n%s", secret, shown)
				}
			}
			again, err := Parse(c.File, []byte(shown), options())
			if err != nil {
				t.Fatalf("%v\n%s", err, shown)
			}
			for i := range c.Clouds {
				c.Clouds[i].Options = c.Clouds[i].Shown()
			}
			c.Notes = nil
			if d := diff(c, again); d != "" {
				t.Errorf("what Show gives reads differently (-read +shown):\n%s\n%s", d, shown)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.cfg"), options()); err == nil || !strings.Contains(err.Error(), "none.cfg") {
		t.Errorf("a missing file: %v", err)
	}
	file := filepath.Join(t.TempDir(), "director.cfg")
	text := "[iaas]\nDRIVER = ec2\nUSER = a\nPASSWORD = b\nIMAGE_ID = c\n"
	for mode, notes := range map[os.FileMode]int{0o644: 1, 0o640: 0} {
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file, options())
		if err != nil || len(c.Notes) != notes {
			t.Errorf("mode %o: notes %q, %v", mode, c.Notes, err)
		}
	}
}

// A password may hold anything that fits on a line: quotes, '#', '=', '%', backslashes.
func TestValuesArriveUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.StringMatching("[!-_a-~]([ -~é]{0,30}[!-~])?").Filter(func(s string) bool {
			return !strings.Contains(s, " ;") && !strings.HasPrefix(s, ";") && !strings.HasPrefix(s, `"""`)
		}).Draw(t, "password")
		text := "[iaas]\r\nDRIVER = ec2\r\nPASSWORD = " + want + "   ; a comment\r\nUSER = a\nIMAGE_ID = b\n"
		c, err := Parse("f", []byte(text), options())
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Clouds[0].Options["PASSWORD"]; got != want {
			t.Fatalf("%q arrives as %q", want, got)
		}
	})
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.cfg")
	if err != nil || len(files) == 0 {
		f.Fatal("no examples", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("[iaas]\r\nDRIVER = local\r\n")
	f.Add("\ufeff[a.b]\n-=\n\"\"\"=`\n[a]\n \tx")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f", []byte(text), options())
		if err != nil {
			return
		}
		shown := c.Show()
		again, err := Parse("f", []byte(shown), options())
		if err != nil {
			t.Fatalf("accepted, but not what Show makes of it: %v\n%s", err, shown)
		}
		if again.Show() != shown {
			t.Errorf("Show gives\n%s\nand of that\n%s", shown, again.Show())
		}
	})
}

func TestSelfRegistrationIsOffUnlessSaid(t *testing.T) {
	for text, want := range map[string]bool{"": false, "[director]\nSELF_REGISTRATION = no\n": false, "[director]\nSELF_REGISTRATION = Yes\n": true} {
		c, err := Parse("f", []byte(text), options())
		if err != nil {
			t.Fatal(err)
		}
		if shown := strings.Contains(c.Show(), fmt.Sprintf("SELF_REGISTRATION = %t\n", want)); c.SelfRegistration != want || !shown {
			t.Errorf("%q: %t, shown %t", text, c.SelfRegistration, shown)
		}
	}
}
