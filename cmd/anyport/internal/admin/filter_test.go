package admin

import (
	"net/netip"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhere(t *testing.T) {
	for text, test := range map[string]struct {
		want    string // as it is written again
		in, out []string
	}{
		"":                     {"", []string{"192.0.2.1:80", "[2001:db8::1]:1"}, nil},
		"192.0.2.1":            {"192.0.2.1", []string{"192.0.2.1:80", "192.0.2.1:81", "[::ffff:192.0.2.1]:80"}, []string{"192.0.2.2:80", "[2001:db8::1]:80"}},
		"192.0.2.77/24":        {"192.0.2.0/24", []string{"192.0.2.1:80", "192.0.2.255:1"}, []string{"192.0.3.1:80"}},
		"192.0.2.1:80":         {"192.0.2.1:80", []string{"192.0.2.1:80"}, []string{"192.0.2.1:81", "192.0.2.2:80"}},
		":443":                 {":443", []string{"192.0.2.1:443", "[2001:db8::1]:443"}, []string{"192.0.2.1:80"}},
		"2001:db8::/32":        {"2001:db8::/32", []string{"[2001:db8::1]:80"}, []string{"[2001:db9::1]:80", "192.0.2.1:80"}},
		"2001:db8::1":          {"2001:db8::1", []string{"[2001:db8::1]:80"}, []string{"[2001:db8::2]:80"}},
		"[2001:db8::1]:53":     {"[2001:db8::1]:53", []string{"[2001:db8::1]:53"}, []string{"[2001:db8::1]:54"}},
		"::1":                  {"::1", []string{"[::1]:9"}, []string{"[::2]:9"}},
		"fe80::1%eth0":         {"fe80::1", []string{"[fe80::1%eth1]:9"}, []string{"[fe80::2]:9"}},
		"::ffff:192.0.2.1":     {"192.0.2.1", []string{"192.0.2.1:80"}, []string{"192.0.2.2:80"}},
		"[::ffff:192.0.2.1]:9": {"192.0.2.1:9", []string{"192.0.2.1:9"}, []string{"192.0.2.1:8"}},
	} {
		w, err := ParseWhere(text)
		if err != nil || w.String() != test.want {
			t.Errorf("%q: %v, %v, want %q", text, w, err, test.want)
		}
		for _, at := range test.in {
			if !w.Has(netip.MustParseAddrPort(at)) {
				t.Errorf("%q has not %s", text, at)
			}
		}
		for _, at := range test.out {
			if w.Has(netip.MustParseAddrPort(at)) {
				t.Errorf("%q has %s", text, at)
			}
		}
	}
	for _, text := range []string{"me", ":0", ":65536", "192.0.2.1/33", "192.0.2.1:", "example.com:80", ":", " "} {
		if w, err := ParseWhere(text); err == nil {
			t.Errorf("%q is read as %v", text, w)
		}
	}
}

// TestFlowQuery: what a client writes is what a server reads.
func TestFlowQuery(t *testing.T) {
	where := func(text string) Where {
		w, err := ParseWhere(text)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	full := FlowFilter{
		IDs: []string{"a", "b"}, Route: "web", Client: where("198.51.100.0/24"), Dst: where(":443"), Origin: where("[2001:db8::5]:80"),
		Protocol: "udp", State: "half_closed",
	}
	for _, query := range []FlowQuery{{}, {Limit: 3}, {FlowFilter: full}, {FlowFilter: full, Sort: "idle", Limit: 7}} {
		got, err := ParseFlowQuery(query.values())
		if diff := cmp.Diff(query, got, cmp.Comparer(func(a, b Where) bool { return a == b })); err != nil || diff != "" {
			t.Errorf("%v, -want +got:\n%s", err, diff)
		}
	}
	if got, err := ParseFlowQuery(url.Values{"top": {"7"}}); err != nil || got.Sort != "bytes" || got.Limit != 7 {
		t.Errorf("the older word: %+v, %v", got, err)
	}
	if got, err := ParseFlowQuery(url.Values{"sort": {"age"}}); err != nil || got.Limit != MostSorted {
		t.Errorf("without a limit: %+v, %v", got, err)
	}
	if !(FlowFilter{}).Empty() || full.Empty() || (FlowFilter{IDs: []string{"a"}}).Empty() {
		t.Error("an empty filter is not known")
	}
	if want := "client=198.51.100.0/24 dst=:443 id=a,b origin=[2001:db8::5]:80 protocol=udp route=web state=half_closed"; full.String() != want {
		t.Errorf("%q, want %q", full.String(), want)
	}
}
