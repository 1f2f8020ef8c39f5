package origin

import (
	"net/netip"
	"testing"
	"time"

	"anyport/config"
)

// TestPickAsClient: an origin of the other family is not picked for a client whose address it is dialled
// from, nor is the client itself, even if it is the only one that is up.
func TestPickAsClient(t *testing.T) {
	r := &config.Route{Name: "r", Balance: config.First, OnAllDown: config.TryAll, Transparent: true}
	for _, text := range []string{"10.0.0.5", "10.0.0.6", "fd00::5"} {
		r.Origins = append(r.Origins, config.Origin{Text: text, Addr: netip.MustParseAddr(text), Weight: 1})
	}
	p := NewPool(r, nil)
	for _, c := range []struct {
		client   string
		asClient bool
		want     string // "": none
	}{
		{"198.51.100.2", false, "10.0.0.5"},
		{"198.51.100.2", true, "10.0.0.5"},
		{"10.0.0.5", true, "10.0.0.6"},
		{"2001:db8::2", false, "10.0.0.5"},
		{"2001:db8::2", true, "fd00::5"},
		{"fd00::5", true, ""},
	} {
		a := Ask{Client: netip.MustParseAddr(c.client), Protocol: config.TCP, Port: 80, Now: time.Now(), AsClient: c.asClient}
		got := ""
		if o := p.Pick(a); o != nil {
			got = o.Text
		}
		if got != c.want {
			t.Errorf("client %s (as client: %t) goes to %q, want %q", c.client, c.asClient, got, c.want)
		}
		if unreachable := p.Unreachable(a); unreachable != (c.want == "") {
			t.Errorf("client %s (as client: %t): unreachable %t", c.client, c.asClient, unreachable)
		}
	}
	a := Ask{Client: netip.MustParseAddr("2001:db8::2"), Protocol: config.TCP, Port: 80, Now: time.Now(), AsClient: true}
	p.Origins[2].SetChecked(true, "test", time.Now())
	if o := p.Pick(a); o == nil || o.Text != "fd00::5" {
		t.Errorf("the only origin of the family is down, and on_all_down = \"try\": picked %v", o)
	}
}
