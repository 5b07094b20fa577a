package wg

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"
	"pgregory.net/rapid"

	"conpaas/vpn"
)

// apply does to a list of peers what a device does with a configuration.
func apply(peers []wgtypes.Peer, list []wgtypes.PeerConfig) []wgtypes.Peer {
	index := map[wgtypes.Key]*wgtypes.Peer{}
	for _, p := range peers {
		index[p.PublicKey] = &p
	}
	for _, c := range list {
		p := index[c.PublicKey]
		if c.Remove {
			delete(index, c.PublicKey)
			continue
		}
		if p == nil {
			if c.UpdateOnly {
				continue
			}
			p = &wgtypes.Peer{PublicKey: c.PublicKey}
			index[c.PublicKey] = p
		}
		if c.Endpoint != nil {
			p.Endpoint = c.Endpoint
		}
		if c.PersistentKeepaliveInterval != nil {
			p.PersistentKeepaliveInterval = *c.PersistentKeepaliveInterval
		}
		if c.ReplaceAllowedIPs {
			p.AllowedIPs = nil
		}
		for _, ip := range c.AllowedIPs {
			// An address belongs to one peer only: the last that claims it.
			for _, other := range index {
				if len(other.AllowedIPs) == 1 && other.AllowedIPs[0].String() == ip.String() {
					other.AllowedIPs = nil
				}
			}
			p.AllowedIPs = append(p.AllowedIPs, ip)
		}
	}
	var out []wgtypes.Peer
	for _, p := range index {
		out = append(out, *p)
	}
	return out
}

var testKeys = func() (keys [6]wgtypes.Key) {
	for i := range keys {
		keys[i][0] = byte(i + 1)
	}
	return keys
}()

// drawList draws peers with different keys and different addresses.
func drawList(t *rapid.T, label string) []vpn.Peer {
	order := rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, label+" keys")
	slots := rapid.Permutation([]int{1, 2, 3, 4, 5, 6}).Draw(t, label+" addresses")
	var list []vpn.Peer
	for i := range rapid.IntRange(0, 6).Draw(t, label+" count") {
		p := vpn.Peer{
			Name: testKeys[order[i]].String(), Key: testKeys[order[i]].String(),
			Keepalive: rapid.Bool().Draw(t, "keepalive"),
		}
		if rapid.IntRange(0, 3).Draw(t, "relay") > 0 {
			p.Address = netip.AddrFrom4([4]byte{10, 0, 0, byte(slots[i])})
		}
		if port := rapid.IntRange(0, 2).Draw(t, "port"); port > 0 {
			p.Endpoint = netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), uint16(port))
		}
		list = append(list, p)
	}
	return list
}

func TestChangesBringTheDeviceToTheList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Now()
		first, second := drawList(t, "first"), drawList(t, "second")
		how := rapid.SampledFrom([]mode{applyDelta, replaceList}).Draw(t, "mode")
		list, err := changes(nil, first, nil, how, now)
		if err != nil {
			t.Fatal(err)
		}
		device := apply(nil, list)
		var remove []string
		if how == applyDelta {
			_, remove = vpn.Diff(first, second) // names are keys here
		}
		list, err = changes(device, second, remove, how, now)
		if err != nil {
			t.Fatal(err)
		}
		device = apply(device, list)
		if len(device) != len(second) {
			t.Fatalf("the device has %d peers, want %d", len(device), len(second))
		}
		have := map[string]wgtypes.Peer{}
		for _, p := range device {
			have[p.PublicKey.String()] = p
		}
		for _, want := range second {
			got, ok := have[want.Key]
			if !ok || addressOf(got) != want.Address || (got.PersistentKeepaliveInterval != 0) != want.Keepalive {
				t.Fatalf("peer %+v is %+v", want, got)
			}
			if want.Endpoint.IsValid() && endpointOf(got) != want.Endpoint {
				t.Fatalf("peer %+v has endpoint %v", want, got.Endpoint)
			}
		}
		again, err := changes(device, second, nil, how, now)
		if err != nil || len(again) != 0 {
			t.Fatalf("the same list once more changes %d peers, %v; sessions would suffer", len(again), err)
		}
	})
}

func TestReplaceKeepsTheEndpointOfALiveSession(t *testing.T) {
	now := time.Now()
	relay := netip.MustParseAddrPort("192.0.2.9:1")
	want := vpn.Peer{Name: "a", Key: testKeys[0].String(), Address: netip.MustParseAddr("10.0.0.1"), Endpoint: netip.MustParseAddrPort("192.0.2.1:1")}
	peer := wgtypes.Peer{PublicKey: testKeys[0], AllowedIPs: allowed(want.Address), Endpoint: endpoint(relay)}
	for _, c := range []struct {
		name string
		age  time.Duration
		how  mode
		want int
	}{
		{"live session, full list", time.Minute, replaceList, 0},
		{"live session, delta", time.Minute, applyDelta, 1},
		{"dead session, full list", 4 * time.Minute, replaceList, 1},
	} {
		peer.LastHandshakeTime = now.Add(-c.age)
		list, err := changes([]wgtypes.Peer{peer}, []vpn.Peer{want}, nil, c.how, now)
		if err != nil || len(list) != c.want {
			t.Errorf("%s: %d changes, %v, want %d", c.name, len(list), err, c.want)
		}
	}
}

func TestGreetLeavesPeersAsTheyWere(t *testing.T) {
	for _, interval := range []time.Duration{0, keepalive} {
		peer := wgtypes.Peer{PublicKey: testKeys[0], AllowedIPs: allowed(netip.MustParseAddr("10.0.0.1")), PersistentKeepaliveInterval: interval}
		list := greet(peer)
		if got := apply([]wgtypes.Peer{peer}, list); len(got) != 1 || !reflect.DeepEqual(got[0], peer) {
			t.Errorf("greeting %+v makes it %+v", peer, got)
		}
		if got := apply(nil, list); len(got) != 0 {
			t.Errorf("greeting a peer that has been removed makes it again: %+v", got)
		}
	}
}

func TestANewKeyForAnAddressReplacesTheOldPeer(t *testing.T) {
	address := netip.MustParseAddr("10.0.0.1")
	old := wgtypes.Peer{PublicKey: testKeys[0], AllowedIPs: allowed(address)}
	list, err := changes([]wgtypes.Peer{old}, []vpn.Peer{{Name: "a", Key: testKeys[1].String(), Address: address}}, nil, applyDelta, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	device := apply([]wgtypes.Peer{old}, list)
	if len(device) != 1 || device[0].PublicKey != testKeys[1] || addressOf(device[0]) != address {
		t.Errorf("the device has %+v, want the new key only", device)
	}
}

func TestBadKeysAreRefusedWithoutBeingShown(t *testing.T) {
	for _, text := range []string{"", "secret", testKeys[0].String() + "x"} {
		if _, err := changes(nil, []vpn.Peer{{Name: "a", Key: text}}, nil, applyDelta, time.Now()); err == nil {
			t.Errorf("peer key %q is accepted", text)
		}
		if _, err := changes(nil, nil, []string{text}, applyDelta, time.Now()); err == nil {
			t.Errorf("key %q to remove is accepted", text)
		}
		if _, err := Public(text); err == nil || (text != "" && len(err.Error()) > 80) {
			t.Errorf("Public(%q): %v", text, err)
		}
	}
}
