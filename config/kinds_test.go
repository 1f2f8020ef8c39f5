package config

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// TestWithout compares the pieces of a range with what is left port by port.
func TestWithout(t *testing.T) {
	random := rand.New(rand.NewPCG(21, 22))
	one := func() PortRange {
		first := 1 + random.IntN(40)
		return PortRange{uint16(first), uint16(first + random.IntN(12))}
	}
	for range 5000 {
		whole, except := one(), []PortRange{}
		for range random.IntN(4) {
			except = append(except, one())
		}
		pieces := whole.Without(except)
		for port := uint16(1); port <= 60; port++ {
			want := whole.Contains(port) && !slices.ContainsFunc(except, func(e PortRange) bool { return e.Contains(port) })
			in := 0
			for _, p := range pieces {
				if p.Contains(port) {
					in++
				}
			}
			if in > 1 || (in == 1) != want {
				t.Fatalf("%v without %v is %v: port %d stands in %d pieces", whole, except, pieces, port, in)
			}
		}
		if slices.ContainsFunc(pieces, func(p PortRange) bool { return p.First > p.Last }) || !slices.IsSortedFunc(pieces, func(a, b PortRange) int { return int(a.First) - int(b.First) }) {
			t.Fatalf("%v without %v is %v: empty pieces, or not sorted", whole, except, pieces)
		}
	}
	if left := (PortRange{65535, 65535}).Without([]PortRange{{1, 65535}}); len(left) != 0 {
		t.Errorf("nothing should be left: %v", left)
	}
}

func TestParsePorts(t *testing.T) {
	for text, want := range map[string]PortRange{
		"1": {1, 1}, "65535": {65535, 65535}, "1-65535": {1, 65535}, "80-80": {80, 80}, "080": {80, 80},
		"0": {}, "65536": {}, "80-79": {}, "0-9": {}, "": {}, "-": {}, "-1": {}, "80-": {}, "1-2-3": {}, " 80": {}, "+80": {}, "0x50": {}, "all": {},
	} {
		got, ok := ParsePorts(text)
		if ok != (want != PortRange{}) || ok && got != want {
			t.Errorf("%q: %v, %t, want %v", text, got, ok, want)
		}
		if ok && text == got.String() && got.Width() != int(got.Last)-int(got.First)+1 {
			t.Errorf("%q is %d wide", text, got.Width())
		}
	}
}

func TestParseOrigin(t *testing.T) {
	addr := netip.MustParseAddr
	for text, want := range map[string]Origin{
		"10.0.0.5":                {Addr: addr("10.0.0.5")},
		"10.0.0.5:80":             {Addr: addr("10.0.0.5"), Ports: PortRange{80, 80}},
		"10.0.0.5:3000-4000":      {Addr: addr("10.0.0.5"), Ports: PortRange{3000, 4000}},
		"[2001:db8::5]":           {Addr: addr("2001:db8::5")},
		"[2001:db8::5]:80":        {Addr: addr("2001:db8::5"), Ports: PortRange{80, 80}},
		"2001:db8::5":             {Addr: addr("2001:db8::5")},
		"a.example":               {Host: "a.example"},
		"a.example.:80":           {Host: "a.example.", Ports: PortRange{80, 80}},
		"_dns._udp.example:1-2":   {Host: "_dns._udp.example", Ports: PortRange{1, 2}},
		"db":                      {Host: "db"},
		"localhost:80":            {Host: "localhost", Ports: PortRange{80, 80}},
		"App.Example:3000-4000":   {Host: "app.example", Ports: PortRange{3000, 4000}},
		"srv:80":                  {Host: "srv", Ports: PortRange{80, 80}},
		"srv:_game._udp.example":  {Host: "_game._udp.example", SRV: true},
		"srv:_Game._TCP.example.": {Host: "_game._tcp.example.", SRV: true},
		"srv:_game._udp":          {},
		"srv:_game.example":       {},
		"srv:_._udp.example":      {},
		"srv:_game._udp.e:80":     {},
		"srv:game._udp.example":   {},
		"10.0.0.l5":               {}, // a mistyped address
		"10.0.0.5O":               {},
		"":                        {},
		":80":                     {},
		"10.0.0.5:":               {},
		"10.0.0.5:0":              {},
		"10.0.0.5:80-70":          {},
		"10.0.0.5:65536":          {},
		"10.0.0.256":              {}, // neither an address nor a name: its last label has no letter
		"[10.0.0.5]:80":           {},
		"[2001:db8::5":            {},
		"[2001:db8::5]80":         {},
		"2001:db8::5:80":          {}, // may be meant in two ways
		"::ffff:10.0.0.5":         {},
		"fe80::1":                 {},
		"fe80::1%eth0":            {},
		"0.0.0.0":                 {},
		"224.0.0.1":               {},
		"255.255.255.255":         {},
		"ff02::1":                 {},
		"a b":                     {},
		"-a.example":              {},
		strings.Repeat("a.", 128): {},
	} {
		got, err := parseOrigin(text)
		if want == (Origin{}) {
			if err == nil {
				t.Errorf("%q is taken as %+v", text, got)
			}
			continue
		}
		want.Text, want.Weight = text, 1
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

// TestPrintOrigin: an origin is written as a string where that says all of it.
func TestPrintOrigin(t *testing.T) {
	for want, o := range map[string]Origin{
		`"10.0.0.5:80"`: {Text: "10.0.0.5:80", Weight: 1},
		`{ address = "10.0.0.5", weight = 0, backup = false }`:                {Text: "10.0.0.5"},
		`{ address = "10.0.0.5", weight = 1, backup = true }`:                 {Text: "10.0.0.5", Weight: 1, Backup: true},
		`{ address = "10.0.0.5", weight = 1, backup = false, max_conns = 7 }`: {Text: "10.0.0.5", Weight: 1, MaxConns: 7},
	} {
		if got := printOrigin(o); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestServedPrefix holds what no route can serve, and what only just can.
func TestServedPrefix(t *testing.T) {
	for text, served := range map[string]string{ // "": neither way; "loopback": if that is allowed
		"192.0.2.0/24": "always", "192.0.2.7": "always", "0.0.0.0/0": "", "::/0": "", "10.0.0.0/8": "always",
		"127.0.0.1": "loopback", "127.0.0.0/8": "loopback", "::1": "loopback", "126.0.0.0/7": "loopback", "64.0.0.0/2": "loopback",
		"126.255.255.255": "always", "128.0.0.0": "always", "::2": "always",
		"224.0.0.0/4": "", "192.0.0.0/2": "", "223.255.255.255": "always", "240.0.0.0/8": "always", "240.0.0.0/4": "", "255.255.255.255": "",
		"0.1.2.3": "", "1.0.0.0/8": "always", "::": "", "fe80::/10": "", "fe00::/8": "", "febf::1": "", "fec0::1": "always", "ff02::1": "",
		"::ffff:192.0.2.1": "", "192.0.2.1/24": "", "192.0.2.0/33": "", "2001:db8::/32": "always", "fe80::1%eth0": "", "x": "",
	} {
		for _, allowed := range []bool{false, true} {
			want := served == "always" || served == "loopback" && allowed
			got, err := servedPrefix(allowed).parse(text)
			if (err == nil) != want {
				t.Errorf("%s, loopback allowed %t: %v, %v", text, allowed, got, err)
			}
			if err == nil && (got != got.Masked() || !strings.HasPrefix(got.String(), strings.TrimSuffix(text, "/"))) {
				t.Errorf("%s is read as %v", text, got)
			}
		}
	}
}

// TestUnmapped: who writes an IPv4-mapped prefix is told the IPv4 one.
func TestUnmapped(t *testing.T) {
	for text, want := range map[string]string{
		"::ffff:192.0.2.1":      `write "192.0.2.1"`,
		"::ffff:192.0.2.0/120":  `write "192.0.2.0/24"`,
		"::ffff:192.0.2.77/112": `write "192.0.0.0/16"`,
		"::ffff:0.0.0.0/90":     "write the IPv4 and the IPv6 prefixes apart",
	} {
		if _, err := parsePeerPrefix(text); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestSizesAndRates(t *testing.T) {
	for text, want := range map[string]int64{
		"1B": 1, "1KB": 1000, "1KiB": 1024, "3MiB": 3 << 20, "2GB": 2e9, "1TiB": 1 << 40,
		"1": -1, "1kib": -1, "1 KiB": -1, "-1B": -1, "1.5MiB": -1, "9999999999TiB": -1, "": -1, "KiB": -1, "1KiBs": -1,
	} {
		size, ok := parseSize(text)
		if ok != (want >= 0) || ok && int64(size) != want {
			t.Errorf("size %q: %d, %t, want %d", text, size, ok, want)
		}
		rate, ok := parseRate(text + "/s")
		if ok != (want >= 0) || ok && int64(rate) != want {
			t.Errorf("rate %q: %d, %t, want %d", text, rate, ok, want)
		}
		if _, ok := parseRate(text); ok {
			t.Errorf("a rate without its /s: %q", text)
		}
	}
}

// naiveDistance is Levenshtein's by its definition.
func naiveDistance(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	if a[0] == b[0] {
		return naiveDistance(a[1:], b[1:])
	}
	return 1 + min(naiveDistance(a[1:], b), naiveDistance(a, b[1:]), naiveDistance(a[1:], b[1:]))
}

func TestDistance(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 24))
	word := func() string {
		letters := make([]byte, random.IntN(7))
		for i := range letters {
			letters[i] = "abc"[random.IntN(3)]
		}
		return string(letters)
	}
	for range 2000 {
		a, b := word(), word()
		if got, want := distance(a, b), naiveDistance(a, b); got != want || distance(b, a) != want {
			t.Fatalf("%q and %q: %d, want %d", a, b, got, want)
		}
	}
}

// TestClosest: a key that lost, gained or swapped a letter is still found among all others.
func TestClosest(t *testing.T) {
	known := fileSchema.keys("route")
	for _, key := range known {
		for i := 1; i < len(key); i++ {
			for _, typed := range []string{key[:i] + key[i+1:], key[:i] + "x" + key[i:], strings.ToUpper(key[:i]) + key[i:]} {
				if slices.Contains(known, typed) || len(typed) < 3 {
					continue
				}
				if got := closest(typed, known); got != key && distance(got, typed) > distance(key, typed) {
					t.Errorf("%s for %s: %q", typed, key, got)
				}
			}
		}
	}
	for _, far := range []string{"", "x", "qqqqqqqq", "listen_on_the_moon"} {
		if got := closest(far, known); got != "" {
			t.Errorf("%q is not like %q", far, got)
		}
	}
}

// TestLocate: problems that are found after the file was read get their places.
func TestLocate(t *testing.T) {
	cfg := parse(t, "[listen]\nworkers = 2\n[route.web]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\",\n  \"192.0.2.2\"]\naction = \"pass\"\n")
	for _, test := range []struct {
		route, key   string
		line, column int
	}{
		{"", "listen.workers", 2, 11},
		{"web", "prefixes[1]", 6, 3},
		{"web", "prefixes", 5, 12},
		{"web", "ports", 3, 2},      // not in the file: the table's header
		{"other", "ports", 3, 2},    // the nearest that there is
		{"", "steering.user", 1, 1}, // no table of it either
	} {
		got := cfg.Locate(Problems{{Route: test.route, Key: test.key, Text: "x"}})[0]
		if got.Line != test.line || got.Column != test.column {
			t.Errorf("%s %s: %d:%d, want %d:%d", test.route, test.key, got.Line, got.Column, test.line, test.column)
		}
	}
	placed := Problem{Line: 9, Column: 9, Key: "listen.workers"}
	if got := cfg.Locate(Problems{placed})[0]; got != placed {
		t.Errorf("a problem with a place is moved: %+v", got)
	}
	if got := (&Config{}).Locate(Problems{{Key: "listen.workers"}})[0]; got.Line != 0 {
		t.Errorf("a place in no file: %+v", got)
	}
}

// TestDetailAndSummary: errors of other kinds are passed on, and many problems stay short.
func TestDetailAndSummary(t *testing.T) {
	other := fmt.Errorf("two\nlines")
	if Detail(other) != "two\nlines" || Summary(other) != "two; lines" {
		t.Errorf("%q, %q", Detail(other), Summary(other))
	}
	one := Problems{{File: "f", Line: 1, Column: 2, Length: 1, Source: "abc", Text: "x"}}
	if got := Detail(one); got != "f:1:2: x\n    1 | abc\n      |  ^" {
		t.Errorf("%q", got)
	}
	if got := Detail(fmt.Errorf("wrapped: %w", one)); got != "wrapped: f:1:2: x" {
		t.Errorf("what a wrapper says is lost: %q", got)
	}
	many := Problems{}
	for range maxDetailed + 50 {
		many = append(many, one[0])
	}
	if got := strings.Count(many.Detail(), "^"); got != maxDetailed {
		t.Errorf("%d problems with their lines, want %d", got, maxDetailed)
	}
	if got := Summary(many); got != fmt.Sprintf("%d errors, the first: f:1:2: x", maxDetailed+50) {
		t.Errorf("%q", got)
	}
}
