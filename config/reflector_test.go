package config

import (
	"slices"
	"testing"
)

func TestWideReflector(t *testing.T) {
	tcp, udp, both := []Protocol{TCP}, []Protocol{UDP}, []Protocol{TCP, UDP}
	all, narrow, wide := PortRange{1, 65535}, PortRange{100, 1123}, PortRange{100, 1124}
	for _, test := range []struct {
		name      string
		protocols []Protocol
		ports     []PortRange
		action    Action
		except    bool
		want      string
	}{
		{"all ports", both, []PortRange{all}, Forward, false, "ntp"},
		{"too wide to mean each", udp, []PortRange{wide}, Forward, false, "ntp"},
		{"narrow enough", udp, []PortRange{narrow}, Forward, false, ""},
		{"named beside all", udp, []PortRange{all, {123, 123}}, Forward, false, ""},
		{"not there", udp, []PortRange{{2000, 65535}}, Forward, false, ""},
		{"TCP alone", tcp, []PortRange{all}, Forward, false, ""},
		{"the host's own is the host's business", udp, []PortRange{all}, Pass, false, ""},
		{"nobody answers", udp, []PortRange{all}, Drop, false, ""},
		{"excepted", both, []PortRange{all}, Forward, true, ""},
	} {
		r := &Route{Protocols: test.protocols, Ports: test.ports, Action: test.action, ExceptReflectors: test.except}
		if got := r.WideReflector(123); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
		if got := r.WideReflector(7777); got != "" {
			t.Errorf("%s: port 7777 is %q", test.name, got)
		}
	}
}

// TestReflectorNotes: a file gets a note for the ports that a route wins without a word,
// and for "reflectors" where it has no effect, or another than ports says.
func TestReflectorNotes(t *testing.T) {
	const head = "origins = [\"10.0.0.5\"]\nprefixes = [\"192.0.2.0/24\"]\n"
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"all ports", "[route.a]\nprotocol = [\"tcp\", \"udp\"]\nports = \"all\"\n" + head,
			[]string{`anyport.toml:3:9: route "a": ports: takes the UDP ports of known reflectors, through which others can be attacked: 7 (echo), 11 (systat), 13 (daytime), 17 (qotd) and 17 more; except_ports = ["reflectors"] leaves them out`}},
		{"another route has most", "[route.a]\nprotocol = \"udp\"\n" + head + "[route.b]\nprotocol = \"udp\"\nports = [\"1-1000\", \"1001-2000\", \"5001-6000\", \"11211\", \"3000-4000\"]\n" + head, nil},
		{"another route has some", "[route.a]\nprotocol = \"udp\"\n" + head + "[route.b]\nprotocol = \"udp\"\nports = [\"1-1000\", \"1001-2000\", \"5001-6000\", \"3000-4000\"]\n" + head,
			[]string{`anyport.toml:1:2: route "a": ports: takes the UDP ports of known reflectors, through which others can be attacked: 11211 (memcached); except_ports = ["reflectors"] leaves them out`}},
		{"left out", "[route.a]\nprotocol = \"udp\"\nexcept_ports = \"reflectors\"\n" + head, nil},
		{"left out, with others", "[route.a]\nprotocol = [\"tcp\", \"udp\"]\nexcept_ports = [22, \"reflectors\", \"7000-8000\"]\n" + head, nil},
		{"TCP alone", "[route.a]\nprotocol = \"tcp\"\nexcept_ports = \"reflectors\"\n" + head,
			[]string{`anyport.toml:3:16: route "a": except_ports: "reflectors" stands for UDP ports, and this route takes only TCP: it has no effect`}},
		{"named and left out", "[route.a]\nprotocol = \"udp\"\nports = [\"all\", 53]\nexcept_ports = \"reflectors\"\n" + head,
			[]string{`anyport.toml:4:16: route "a": except_ports: "reflectors" leaves out UDP ports that are named in ports: 53 (dns); to serve them, name them in a route of their own`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse("anyport.toml", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, note := range c.Notes {
				got = append(got, note.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestResponder(t *testing.T) {
	for _, test := range []struct {
		source, dst uint16
		want        bool
	}{
		{7, 7, true}, // two echo servers
		{19, 7, true},
		{53, 7777, true}, // an answer of a DNS server
		{53, 53, false},  // a resolver of before RFC 5452
		{123, 123, false},
		{123, 53, true},
		{69, 69, true},
		{1900, 7777, false}, // anybody's port
		{40000, 7, false},
		{22, 22, false},
	} {
		if got := Responder(test.source, test.dst); got != test.want {
			t.Errorf("from port %d to %d: %t", test.source, test.dst, got)
		}
	}
}
