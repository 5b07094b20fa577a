package vpn_test

import (
	"math"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conpaas/vpn"
)

func TestPlanOfTheDefaultNetwork(t *testing.T) {
	p, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.ServicesPerApplication(); got != 32 {
		t.Errorf("services per application = %d, want 32", got)
	}
	if got := p.AgentsPerService(); got != 32767 {
		t.Errorf("agents per service = %d, want 32767", got)
	}
	if got := p.Manager(); got != netip.MustParseAddr("172.31.128.0") {
		t.Errorf("manager = %s, want 172.31.128.0", got)
	}
	part, err := p.Partition(1)
	want := vpn.Partition{
		Index: 1, Prefix: netip.MustParsePrefix("172.16.128.0/17"),
		First: netip.MustParseAddr("172.16.128.1"), Last: netip.MustParseAddr("172.16.255.255"),
	}
	if err != nil || part != want {
		t.Errorf("partition 1 = %+v, %v, want %+v", part, err, want)
	}
	for _, c := range []struct {
		service, agent int
		want           string
	}{{0, 1, "172.16.0.1"}, {0, 256, "172.16.1.0"}, {0, 32767, "172.16.127.255"}, {31, 32767, "172.31.255.255"}} {
		if got, err := p.Address(c.service, c.agent); err != nil || got.String() != c.want {
			t.Errorf("address(%d, %d) = %s, %v, want %s", c.service, c.agent, got, err, c.want)
		}
	}
	for _, c := range [][2]int{{0, 0}, {0, 32768}, {-1, 1}, {32, 1}, {0, math.MinInt}, {math.MaxInt, 1}} {
		if got, err := p.Address(c[0], c[1]); err == nil {
			t.Errorf("address(%d, %d) = %s, want an error", c[0], c[1], got)
		}
	}
	if !p.Overlaps(netip.MustParsePrefix("172.17.0.0/16")) || p.Overlaps(netip.MustParsePrefix("10.0.0.0/8")) {
		t.Error("Overlaps: Docker's bridge overlaps 172.16.0.0/12, 10.0.0.0/8 does not")
	}
}

func TestNewPlanRefuses(t *testing.T) {
	for _, c := range []struct {
		base string
		bits int
		say  string // what the error must name
	}{
		{"172.16.0.1/12", 5, "172.16.0.0/12"},
		{"10.0.0.0/24", 8, "want 7 or fewer"},
		{"10.0.0.0/24", -1, "-1 service bits"},
		{"10.0.0.0/31", 0, ""},
		{"10.0.0.0/32", 0, "want 0 or fewer"},
		{"10.0.0.0/8", math.MaxInt, "want 23 or fewer"},
		{"fd00::/64", 5, "IPv4"},
		{"127.0.0.0/8", 5, "127.0.0.0/8"},
		{"0.0.0.0/0", 5, "reserved"},
		{"240.0.0.0/8", 5, "reserved"},
		{"169.254.0.0/16", 5, "reserved"},
	} {
		_, err := vpn.NewPlan(netip.MustParsePrefix(c.base), c.bits)
		if c.say == "" {
			if err != nil {
				t.Errorf("NewPlan(%s, %d): %v, want a plan", c.base, c.bits, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("NewPlan(%s, %d): %v, want an error that says %q", c.base, c.bits, err, c.say)
		}
	}
	if _, err := vpn.NewPlan(netip.Prefix{}, 5); err == nil {
		t.Error("NewPlan without a prefix: no error")
	}
}

// drawPlan draws a plan in any network of /8 to /31; nearly all larger ones hold a reserved range.
func drawPlan(t *rapid.T) vpn.Plan {
	bits := rapid.IntRange(8, 31).Draw(t, "prefix length")
	service := rapid.IntRange(0, 31-bits).Draw(t, "service bits")
	first := rapid.ByteRange(1, 126).Draw(t, "first byte")
	raw := rapid.Uint32().Draw(t, "base")
	base, err := netip.AddrFrom4([4]byte{first, byte(raw >> 16), byte(raw >> 8), byte(raw)}).Prefix(bits)
	if err != nil {
		t.Fatal(err)
	}
	p, err := vpn.NewPlan(base, service)
	if err != nil {
		t.Fatalf("NewPlan(%s, %d): %v", base, service, err)
	}
	return p
}

func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		k := 32 - p.Prefix().Bits() - p.ServiceBits()
		if got, want := p.ServicesPerApplication(), int(math.Pow(2, float64(p.ServiceBits()))); got != want {
			t.Fatalf("services per application = %d, want 2^%d = %d", got, p.ServiceBits(), want)
		}
		if got, want := p.AgentsPerService(), int(math.Pow(2, float64(k)))-1; got != want {
			t.Fatalf("agents per service = %d, want 2^%d - 1 = %d", got, k, want)
		}
		// No two of these share an address: any two partitions, an agent and the manager, two agents.
		i := rapid.IntRange(0, p.ServicesPerApplication()-1).Draw(t, "service")
		other := rapid.IntRange(0, p.ServicesPerApplication()-1).Draw(t, "other service")
		part, err := p.Partition(i)
		if err != nil {
			t.Fatal(err)
		}
		otherPart, err := p.Partition(other)
		if err != nil {
			t.Fatal(err)
		}
		if i != other && part.Prefix.Overlaps(otherPart.Prefix) {
			t.Fatalf("partitions %d %s and %d %s overlap", i, part.Prefix, other, otherPart.Prefix)
		}
		agent := rapid.IntRange(1, p.AgentsPerService()).Draw(t, "agent")
		a, err := p.Address(i, agent)
		if err != nil {
			t.Fatal(err)
		}
		if !part.Prefix.Contains(a) || !p.Prefix().Contains(a) {
			t.Fatalf("agent %d of service %d has %s, outside of %s", agent, i, a, part.Prefix)
		}
		if a.Less(part.First) || part.Last.Less(a) {
			t.Fatalf("%s is not in %s to %s", a, part.First, part.Last)
		}
		if a == p.Manager() || a == part.Prefix.Addr() {
			t.Fatalf("agent %d of service %d has the address of slot 0: %s", agent, i, a)
		}
		if service, slot, ok := p.Locate(a); !ok || service != i || slot != agent {
			t.Fatalf("Locate(%s) = %d, %d, %v, want %d, %d", a, service, slot, ok, i, agent)
		}
		if service, slot, ok := p.Locate(p.Manager()); !ok || service != p.ServicesPerApplication()-1 || slot != 0 {
			t.Fatalf("Locate(manager %s) = %d, %d, %v", p.Manager(), service, slot, ok)
		}
	})
}

func FuzzNewPlan(f *testing.F) {
	f.Add("172.16.0.0/12", 5)
	f.Add("10.0.0.0/8", 23)
	f.Add("::/0", 0)
	f.Fuzz(func(t *testing.T, base string, bits int) {
		prefix, err := netip.ParsePrefix(base)
		if err != nil {
			return
		}
		p, err := vpn.NewPlan(prefix, bits)
		if err != nil {
			return
		}
		if _, err := p.Address(p.ServicesPerApplication()-1, p.AgentsPerService()); err != nil {
			t.Errorf("NewPlan(%s, %d): the last address: %v", base, bits, err)
		}
		if !p.Prefix().Contains(p.Manager()) {
			t.Errorf("NewPlan(%s, %d): manager %s is outside", base, bits, p.Manager())
		}
	})
}

func TestParseMask(t *testing.T) {
	for text, want := range map[string]int{
		"255.240.0.0": 12, "12": 12, "0": 0, "32": 32, "0.0.0.0": 0, "255.255.255.255": 32, " 255.0.0.0 ": 8,
		"255.0.255.0": -1, "33": -1, "-1": -1, "": -1, "255.240": -1, "1.2.3.4.5": -1, "0.0.0.1": -1, "+8": -1, "ffff:": -1,
	} {
		got, err := vpn.ParseMask(text)
		if (err != nil) != (want < 0) || (err == nil && got != want) {
			t.Errorf("ParseMask(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
}

func FuzzParseMask(f *testing.F) {
	f.Add("255.240.0.0")
	f.Add("12")
	f.Fuzz(func(t *testing.T, text string) {
		bits, err := vpn.ParseMask(text)
		if err == nil && (bits < 0 || bits > 32) {
			t.Errorf("ParseMask(%q) = %d", text, bits)
		}
	})
}
