package shadow

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"anyport/config"
	"anyport/steering/host"
	"anyport/steering/table"
)

const file = `
[route.web]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
ports = [80]
deny = ["203.0.113.0/24"]
origins = ["10.0.0.5", "[fd00::5]"]
`

// rehearse makes a follower of the file.
func rehearse(t *testing.T) (*follower, *table.Table) {
	t.Helper()
	c, err := config.Parse("a.toml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := table.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	return newFollower(newCounts(c.Routes)), compiled
}

// outcomes are what was judged, one a word: route/today/verdict=count.
func outcomes(f *follower) string {
	var all []string
	for o, places := range f.count.outcomes {
		for _, n := range places {
			all = append(all, fmt.Sprintf("%s/%s/%s=%d", o.route, o.today, o.anyport, n))
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestFollow(t *testing.T) {
	begun := time.Unix(1_000_000, 0)
	tcp := func(k kind, from, to netip.AddrPort) packet { return packet{k, config.TCP, from, to} }
	datagram := func(from, to netip.AddrPort) packet { return packet{datagram, config.UDP, from, to} }
	type event struct {
		packet
		way
		after time.Duration
	}
	ask := event{tcp(syn, client4, dst4), incoming, 0}
	for name, test := range map[string]struct {
		events   []event
		answered int // by a socket of this host
		want     string
	}{
		"answered here":                 {[]event{ask, {tcp(synACK, dst4, client4), outgoing, 1}}, 1, ""},
		"answered on loopback, twice":   {[]event{{tcp(syn, client4, dst4), loopback, 0}, {tcp(synACK, dst4, client4), loopback, 1}, {tcp(synACK, dst4, client4), loopback, 1}}, 1, ""},
		"forwarded":                     {[]event{ask, {tcp(synACK, dst4, client4), incoming, 1}, {tcp(synACK, dst4, client4), outgoing, 1}}, 0, "web/forwarded/steer=1"},
		"refused":                       {[]event{ask, {tcp(refusal, dst4, client4), outgoing, 1}}, 0, "web/refused/steer=1"},
		"no answer, asked three times":  {[]event{ask, {ask.packet, incoming, time.Second}, {ask.packet, incoming, 2 * time.Second}}, 0, "web/silent/steer=1"},
		"asked again after a refusal":   {[]event{ask, {tcp(refusal, dst4, client4), outgoing, 1}, {ask.packet, incoming, 2}, {tcp(refusal, dst4, client4), outgoing, 3}}, 0, "web/refused/steer=2"},
		"this host asks another":        {[]event{{tcp(syn, client4, dst4), outgoing, 0}}, 0, ""},
		"not served":                    {[]event{{tcp(syn, dst4, client4), incoming, 0}}, 0, ""},
		"a port without a route":        {[]event{{tcp(syn, client4, netip.MustParseAddrPort("192.0.2.7:81")), incoming, 0}}, 0, "/silent/refuse=1"},
		"a client that is not admitted": {[]event{{tcp(syn, netip.MustParseAddrPort("203.0.113.1:1"), dst4), incoming, 0}}, 0, "web/silent/deny=1"},
		"a flow":                        {[]event{{datagram(client6, dst6), incoming, 0}, {datagram(dst6, client6), outgoing, 1}, {datagram(client6, dst6), incoming, 2}, {datagram(dst6, client6), outgoing, 3}}, 1, ""},
		"a flow without an answer":      {[]event{{datagram(client6, dst6), incoming, 0}, {datagram(client6, dst6), incoming, 2 * time.Second}}, 0, "web/silent/steer=1"},
		"a flow to a closed port":       {[]event{{datagram(client6, dst6), incoming, 0}, {packet{refusal, config.UDP, dst6, client6}, outgoing, 1}, {datagram(client6, dst6), incoming, 2}}, 0, "web/refused/steer=1"},
	} {
		t.Run(name, func(t *testing.T) {
			f, compiled := rehearse(t)
			for _, e := range test.events {
				f.see(compiled, e.packet, e.way, begun.Add(e.after))
			}
			if answered := f.tick(begun.Add(patience + 2*time.Second)); len(answered) != test.answered {
				t.Errorf("%d were answered here, want %d", len(answered), test.answered)
			}
			if got := outcomes(f); got != test.want {
				t.Errorf("counted %q, want %q", got, test.want)
			}
			f.tick(begun.Add(2 * flowIdle))
			if len(f.attempts) > 0 {
				t.Errorf("%d are followed for ever", len(f.attempts))
			}
		})
	}
}

// TestBounds: what is not followed is counted, and places beyond the bound are one.
func TestBounds(t *testing.T) {
	f, compiled := rehearse(t)
	now := time.Unix(1_000_000, 0)
	for i := range mostFollowed + 10 {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), uint16(1+i>>16))
		f.see(compiled, packet{syn, config.TCP, client, netip.AddrPortFrom(dst4.Addr(), uint16(i))}, incoming, now)
	}
	if len(f.attempts) != mostFollowed || f.omitted != 10 {
		t.Errorf("%d are followed and %d omitted", len(f.attempts), f.omitted)
	}
	f.tick(now.Add(patience))
	if f.count.places != mostPlaces {
		t.Errorf("%d places", f.count.places)
	}
	var seen uint64
	for _, r := range f.count.report() {
		seen += r.Today[string(Silent)]
	}
	if seen != mostFollowed {
		t.Errorf("%d are reported, want %d", seen, mostFollowed)
	}
}

// TestByListeners: who has a conn whose socket has closed already.
func TestByListeners(t *testing.T) {
	tcp := func(addr string, transparent bool) host.Listener {
		return host.Listener{Protocol: config.TCP, Addr: netip.MustParseAddrPort(addr), Transparent: transparent}
	}
	proxy := tcp("127.0.0.1:9000", true)
	v6Only := tcp("[::]:80", false)
	v6Only.IPv6Only = true
	for name, test := range map[string]struct {
		listeners []host.Listener
		want      Today
	}{
		"a proxy":                       {[]host.Listener{proxy}, ByProxy},
		"a listener":                    {[]host.Listener{tcp("0.0.0.0:80", false)}, ByHost},
		"a listener of both families":   {[]host.Listener{tcp("[::]:80", false)}, ByHost},
		"either":                        {[]host.Listener{proxy, tcp("0.0.0.0:80", false)}, BySocket},
		"a listener elsewhere":          {[]host.Listener{proxy, tcp("0.0.0.0:81", false), tcp("192.0.2.8:80", false), v6Only}, ByProxy},
		"nobody, any more":              {nil, BySocket},
		"a listener of the other proto": {[]host.Listener{{Protocol: config.UDP, Addr: netip.MustParseAddrPort("0.0.0.0:80")}}, BySocket},
	} {
		if got := byListeners(tuple{config.TCP, client4, dst4}, test.listeners); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestMeanings: each combination is either a difference or not, and nothing is said of the same outcome twice.
func TestMeanings(t *testing.T) {
	got := 0
	for _, today := range []Today{ByProxy, ByHost, BySocket, Elsewhere, Refused, Silent} {
		for _, v := range []table.Verdict{table.Steer, table.Refuse, table.Drop, table.Pass, table.Deny, table.Inactive} {
			if (outcome{today: today, anyport: v}).meaning() != "" {
				got++
			}
		}
	}
	want := 0
	for _, m := range meanings {
		want += len(m.anyport)
	}
	if got != want {
		t.Errorf("%d differences, and the table has %d", got, want)
	}
	for _, same := range []outcome{{"", ByProxy, table.Steer}, {"", ByHost, table.Pass}, {"", Refused, table.Refuse}, {"", Silent, table.Drop}} {
		if text := same.meaning(); text != "" {
			t.Errorf("%+v: %q", same, text)
		}
	}
}
