package config

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// masked stands for a secret.
const masked = "***"

// Show gives the whole configuration as it is in force, defaults too, in the form of the file; secrets are ***.
func (c *Config) Show() string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s = %s\n", key, value)
		}
	}
	plan := c.VPN.Plan
	fmt.Fprintf(&b, "[%s]\n", sectionGeneral)
	line("DEPLOYMENT_NAME", c.Deployment)
	line("VPN_BASE_NETWORK", plan.Prefix().Addr().String())
	line("VPN_NETMASK", net.IP(net.CIDRMask(plan.Prefix().Bits(), 32)).String())
	line("VPN_SERVICE_BITS", strconv.Itoa(plan.ServiceBits()))
	if len(c.VPN.Bootstrap) > 0 {
		b.WriteString("VPN_BOOTSTRAP_NODES =\n")
		for _, n := range c.VPN.Bootstrap {
			fmt.Fprintf(&b, "    %s\n", "udp://"+n.Endpoint.String()+" "+string(n.Key))
		}
	}
	var others []string
	for _, cloud := range c.Clouds[1:] {
		others = append(others, cloud.Name)
	}
	fmt.Fprintf(&b, "\n[%s]\n", sectionCloud)
	line("OTHER_CLOUDS", strings.Join(others, ", "))
	line("MAX_VMS_ALL_CLOUDS", strconv.Itoa(c.MaxVMs))
	for i, cloud := range c.Clouds {
		if i > 0 {
			fmt.Fprintf(&b, "\n[%s]\n", cloud.Name)
		}
		line("DRIVER", cloud.Kind)
		shown := cloud.Shown()
		for _, name := range slices.Sorted(maps.Keys(shown)) {
			line(name, shown[name])
		}
		line("DIRECTOR_ADDRESS", cloud.DirectorAddress)
		line("MAX_VMS", strconv.Itoa(cloud.MaxVMs))
	}
	fmt.Fprintf(&b, "\n[%s]\n", sectionDirector)
	line("DEBUG", strconv.FormatBool(c.Debug))
	line("USERDATA_DIR", c.Dir)
	line("DATABASE_URI", "sqlite:///"+c.Database)
	line("DIRECTOR_URL", c.URL.String())
	line("SELF_REGISTRATION", strconv.FormatBool(c.SelfRegistration))
	line("INITIAL_CREDIT", strconv.FormatInt(c.InitialCredit, 10))
	line("MAX_CREDIT", strconv.FormatInt(c.MaxCredit, 10))
	for _, l := range c.Lives.table() {
		line(l.key, hours(*l.at))
	}
	switch port := c.VPN.RelayPort; {
	case port < 0:
		line("RELAY_PORT", "no")
	case port > 0:
		line("RELAY_PORT", strconv.Itoa(port))
	}
	return b.String()
}

// userInfo is the part of a URL that may hold a password.
var userInfo = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@`)

// Shown gives the options of the cloud for showing: secrets, and what stands before the host in URLs, are ***.
func (c Cloud) Shown() map[string]string {
	shown := maps.Clone(c.Options)
	for name, value := range shown {
		if c.secret[name] && value != "" {
			shown[name] = masked
		} else {
			shown[name] = userInfo.ReplaceAllString(value, "${1}"+masked+"@")
		}
	}
	return shown
}

// String tells the cloud without its secrets.
func (c Cloud) String() string { return fmt.Sprintf("cloud %s (%s) %v", c.Name, c.Kind, c.Shown()) }

// String is Show, so that printing a configuration shows no secret.
func (c *Config) String() string { return c.Show() }
