package app

import (
	"net/netip"
	"strings"
	"testing"

	"conpaas/client/api"
	"conpaas/director/store"
	"conpaas/vpn"
)

// An address inside of the overlay's range, as EC2's default VPC and Docker's bridge have it, is told with its remedy.
func TestCheckFindsAddressesInsideTheOverlay(t *testing.T) {
	plan, err := vpn.NewPlan(netip.MustParsePrefix("172.16.0.0/12"), 5)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	d := &Director{config: Config{Plan: plan}, store: s}
	for address, want := range map[string]string{
		"": "", "198.51.100.1:5555": "", "director.example.org:5555": "",
		"172.31.4.5:5555": "the director has the address 172.31.4.5, which lies in the overlay network 172.16.0.0/12",
	} {
		check, err := d.checkApart(t.Context(), &place{name: "east", address: address})
		if err != nil || check.OK != (want == "") || !strings.HasPrefix(check.Detail, want) {
			t.Errorf("with DIRECTOR_ADDRESS %q: %+v, %v, want %q", address, check, err, want)
		}
	}
	err = s.Update(t.Context(), "machines", func(tx *store.Tx) error {
		u, err := tx.CreateUser(store.User{Name: "u", Role: api.RoleUser, Password: "x", Credit: 10})
		if err != nil {
			return err
		}
		a, err := tx.CreateApplication(store.NewApplication{Owner: u.ID, Name: "shop", Cloud: "east", Prefix: plan.Prefix(), ServiceBits: 5})
		if err != nil {
			return err
		}
		if _, err := tx.SetApplicationWanted(a.ID, store.ApplicationRunning); err != nil {
			return err
		}
		m, err := tx.ReserveManager(a.ID, "east", store.Limits{})
		if err == nil {
			_, err = tx.UpdateNode(m.ID, store.NodeChange{Address: netip.MustParseAddr("172.17.0.2")})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if check, err := d.checkApart(t.Context(), &place{name: "east"}); err != nil || check.OK || !strings.Contains(check.Detail, "the machine of node n1 has the address 172.17.0.2") {
		t.Errorf("with a machine inside: %+v, %v", check, err)
	}
}
