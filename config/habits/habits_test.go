package habits_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"anyport/config/habits"
)

// accept takes any value: what is written is then the first habit's that writes anything.
func accept(any) bool { return true }

func find(key, want string, value any, slot habits.Slot) (fix, say string) {
	c := habits.Cure{Key: key, Want: want, Value: value, Slot: slot, Accept: accept}
	return c.Find()
}

// TestCures holds the cures that are computed, not copied from the table.
func TestCures(t *testing.T) {
	for _, test := range []struct{ want, value, fix string }{
		{"Duration", "2d", `"48h"`},
		{"Duration", "1 week", `"168h"`},
		{"Duration", "10", `"10s"`},
		{"Duration", "5000", `"5s"`},
		{"Duration", "PT30S", `"30s"`},
		{"Duration", "1h 30m", `"1h30m"`},
		{"Size", "4 mb", `"4MiB"`},
		{"Size", "512k", `"512KiB"`},
		{"Rate", "8mbit", `"1000KB/s"`},
		{"Rate", "8kbit", `"1000B/s"`},
		{"Rate", "1 gbps", `"125MB/s"`},
		{"Rate", "10 mib/sec", `"10MiB/s"`},
		{"Rate", "10mb", `"10MB/s"`},
		{"Integer", "10k", "10000"},
		{"Port", "https", "443"},
		{"Port", "ntp", "123"},
		{"Port", "443/tcp", "443"},
		{"Port", "80:8080", `"80-8080"`},
		{"Port", "1024+", `"1024-65535"`},
		{"Port", "<=1023", `"1-1023"`},
		{"Prefix", "192.0.2.0/255.255.255.0", `"192.0.2.0/24"`},
		{"Prefix", "192.0.2.128 255.255.255.128", `"192.0.2.128/25"`},
		{"Prefix", "192.0.2.0/0.0.0.255", `"192.0.2.0/24"`}, // a wildcard mask
		{"Prefix", "192.0.2.9-192.0.2.10", `"192.0.2.9", "192.0.2.10"`},
		{"Prefix", "192.0.2.0-255", `"192.0.2.0/24"`},
		{"Prefix", "2001:db8::-2001:db8::ffff", `"2001:db8::/112"`},
		{"Prefix", "192.168", `"192.168.0.0/16"`},
		{"Prefix", "10.*", `"10.0.0.0/8"`},
		{"Prefix", "010.001.000.005", `"10.1.0.5"`},
		{"Origin", "http://web", `"web:80"`},
		{"Origin", "https://web/x", `"web:443"`},
		{"Origin", ":8080", `"127.0.0.1:8080"`},
		{"Origin", "2001:db8:1:2:3:4:5:6:80", `"[2001:db8:1:2:3:4:5:6]:80"`},
		{"Origin", "server web1 10.0.0.5:80 weight=3", `{ address = "10.0.0.5:80", weight = 3 }`},
		{"Boolean", "Yes", "true"},
		{"Boolean", "off", "false"},
	} {
		fix, say := find("x", test.want, test.value, habits.Element)
		if fix != test.fix || !strings.HasPrefix(say, "write "+test.fix) {
			t.Errorf("%s %q: %s (%s), want %s", test.want, test.value, fix, say, test.fix)
		}
	}
}

// TestNoCure holds values that must not become others.
func TestNoCure(t *testing.T) {
	for _, test := range []struct{ want, value string }{
		{"Prefix", "192.0.2.0/255.0.255.0"},                    // no mask of a prefix
		{"Prefix", "192.0.2.10-192.0.2.9"},                     // backwards
		{"Prefix", "0.0.0.1-255.255.255.254"},                  // too many blocks
		{"Prefix", "192.0.2.1-2001:db8::1"},                    // of two families
		{"Rate", strings.Repeat("9", 30) + "mbit"},             // overflows
		{"Duration", strings.Repeat("9", 30) + "d"},            // overflows
		{"Port", "no-such-service"},                            // nobody knows its port
		{"Port", strings.Repeat("1", 2000)},                    // too long to be searched
		{"Origin", "unix:/run/x.sock"},                         // a thing to do, not to write
		{"Prefix", "example.com"}, {"Prefix", "!192.0.2.0/24"}, // as these
	} {
		// What is accepted is what the key would: a prefix, or nothing.
		c := habits.Cure{Key: "x", Want: test.want, Value: test.value, Slot: habits.Element, Accept: func(value any) bool {
			text, _ := value.(string)
			_, err := netip.ParsePrefix(text)
			return err == nil
		}}
		if fix, _ := c.Find(); fix != "" {
			t.Errorf("%s %q becomes %s", test.want, test.value, fix)
		}
	}
}

// TestBlocks: the prefixes of a range hold its addresses and no other.
func TestBlocks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		first := random.IntN(256)
		last := first + random.IntN(256-first)
		text, say := find("prefixes", "Prefix", fmt.Sprintf("192.0.2.%d-192.0.2.%d", first, last), habits.Element)
		if text == "" {
			t.Fatalf("no cure for %d-%d: %s", first, last, say)
		}
		var held [256]int
		for _, p := range decodeList(t, text) {
			prefix := parsePrefix(t, p)
			for i := range held {
				if prefix.Contains(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})) {
					held[i]++
				}
			}
		}
		for i, n := range held {
			if want := first <= i && i <= last; n > 1 || (n == 1) != want {
				t.Fatalf("192.0.2.%d stands in %d of %s, which should be %d to %d", i, n, text, first, last)
			}
		}
	}
}

func parsePrefix(t *testing.T, text string) netip.Prefix {
	t.Helper()
	if !strings.Contains(text, "/") {
		text += "/32"
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		t.Fatal(err)
	}
	return prefix
}

func decodeList(t *testing.T, inside string) []string {
	t.Helper()
	var file struct{ X []string }
	if _, err := toml.Decode("X = ["+inside+"]", &file); err != nil {
		t.Fatalf("%s is not the inside of a list: %v", inside, err)
	}
	return file.X
}

// TestSlots: a cure of several values needs a list, and one of a list gets its brackets.
func TestSlots(t *testing.T) {
	for _, test := range []struct {
		slot habits.Slot
		want string
	}{
		{habits.OneValue, ""},
		{habits.OneOrList, `["tcp", "udp"]`},
		{habits.OnlyList, `["tcp", "udp"]`},
		{habits.Element, `"tcp", "udp"`},
	} {
		c := habits.Cure{Key: "protocol", Want: "Word", Value: "tcp+udp", Slot: test.slot, Accept: isProtocol}
		if fix, _ := c.Find(); fix != test.want {
			t.Errorf("slot %d: %s, want %s", test.slot, fix, test.want)
		}
	}
	c := habits.Cure{Key: "protocol", Want: "Word", Value: []any{"TCP4"}, Slot: habits.OneValue, Accept: isProtocol}
	if fix, _ := c.Find(); fix != `"tcp"` {
		t.Errorf("a list of one in the place of a value: %s", fix)
	}
}

func isProtocol(value any) bool { return value == "tcp" || value == "udp" }

// TestRefusedCure: what the key refuses is not offered; the next habit has its turn.
func TestRefusedCure(t *testing.T) {
	c := habits.Cure{Key: "x", Want: "Duration", Value: "5000", Slot: habits.OneValue, Accept: func(value any) bool { return value == "5000s" }}
	if fix, say := c.Find(); fix != `"5000s"` || !strings.Contains(say, `or "5000ms"`) {
		t.Errorf("%s, %q", fix, say)
	}
	c.Accept = func(any) bool { return false }
	if fix, say := c.Find(); fix != "" || say != "" {
		t.Errorf("nothing is accepted, and offered is %s, %q", fix, say)
	}
}

func TestSlug(t *testing.T) {
	for words, want := range map[string]string{
		"web":                    "web",
		"My Web Server":          "my-web-server",
		"a.b":                    "a-b",
		"__x__":                  "__x__",
		"-x-":                    "x",
		"ü":                      "",
		"":                       "",
		"...":                    "",
		strings.Repeat("a", 64):  strings.Repeat("a", 64),
		strings.Repeat("a", 65):  "",
		"éa" + "b":               "a" + "b",
		"route 1 (of 2), really": "route-1-of-2-really",
	} {
		if got := habits.Slug(words); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}
}

func TestSnake(t *testing.T) {
	for key, want := range map[string]string{
		"max_conns": "max_conns", "maxConns": "max_conns", "Max-Conns": "max_conns", "MAX CONNS": "max_conns",
		"udpIdleTimeout": "udp_idle_timeout", "max.conns": "max_conns", "http2Port": "http2_port", "": "",
	} {
		if got := habits.Snake(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// TestLanguage: a file of another program is known by a line, and TOML is none of them.
func TestLanguage(t *testing.T) {
	for text, want := range map[string]string{
		"{\n  \"route\": 1\n}":       "file in JSON",
		"<?xml version=\"1.0\"?>":    "file in XML or HTML",
		"events {\n}\n":              "file of nginx",
		"# x\nlisten 80;\n":          "file of nginx",
		"frontend web\n  bind :80\n": "file of HAProxy",
		"table inet filter {\n":      "file of nftables",
		"*nat\n:PREROUTING ACCEPT\n": "file of iptables",
		"{\n  layer4 {\n":            "file of Caddy",
		"routes:\n  - web\n":         "file in YAML",
		"---\nroutes:\n":             "file in YAML",
		"# a comment\n":              "",
		"workers = 1\n":              "",
		"[route.web]\nprotocol = \"tcp\"\nports = [1,\n  2]\n": "",
	} {
		name, start, end := habits.Language(text)
		if name != want {
			t.Errorf("%q is a %q, want %q", text, name, want)
		}
		if name != "" && (start < 0 || end > len(text) || start >= end || strings.TrimSpace(text[start:end]) == "") {
			t.Errorf("%q is told by %d to %d", text, start, end)
		}
	}
}

// TestEveryHabit: each says something that can be printed on one line, whatever it found.
func TestEveryHabit(t *testing.T) {
	count := 0
	for _, place := range []string{"value", "line", "reason", "any-key", "-key", "route-key", "defaults-key", "origin-key", "listen-key", "steering-key", "admin-key", "log-key",
		"Port", "Prefix", "Origin", "Host", "Address", "Duration", "Size", "Rate", "Integer", "Boolean", "Mapped", "Everything"} {
		all := habits.Of(place)
		if len(all) == 0 {
			t.Errorf("no habit about %s", place)
		}
		count += len(all)
		for _, h := range all {
			match := make([]string, 10)
			for i := range match {
				match[i] = fmt.Sprint("g", i)
			}
			if say := h.Say(match); strings.ContainsAny(say, "\n$") || strings.HasPrefix(say, " ") || say == "" && !h.Writes() {
				t.Errorf("%s: says %q", place, say)
			}
		}
	}
	if count < 150 {
		t.Errorf("%d habits: some of them are lost", count)
	}
	if habits.Of("nothing") != nil {
		t.Error("habits about nothing")
	}
}

func TestAdvice(t *testing.T) {
	for _, test := range [][3]string{{"", "", ""}, {"", "for x", ""}, {"5", "", "write 5"}, {"5", "for x", "write 5, for x"}} {
		if got := habits.Advice(test[0], test[1]); got != test[2] {
			t.Errorf("%q, %q: %q, want %q", test[0], test[1], got, test[2])
		}
	}
	if got := habits.Quote(`a"b\c`); got != `"ab\\c"` {
		t.Errorf("Quote: %s", got)
	}
}
