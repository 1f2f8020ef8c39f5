package config_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"anyport/config"
)

// admits is the rule, word by word: the longest of allow and deny wins; on a tie, deny; an
// empty allow is everyone.
func admits(allow, deny []netip.Prefix, client netip.Addr) bool {
	longest := func(list []netip.Prefix) int {
		bits := -1
		for _, p := range list {
			if p.Contains(client) {
				bits = max(bits, p.Bits())
			}
		}
		return bits
	}
	allowed, denied := longest(allow), longest(deny)
	if allowed < 0 && denied < 0 {
		return len(allow) == 0
	}
	return allowed > denied
}

// ruleOf is the longest prefix of a list of rules that holds client, and whether it allows.
func ruleOf(c *config.Clients, client netip.Addr) (rule netip.Prefix, allowed bool) {
	longest := -1
	for p, a := range c.Rules() {
		if p.Contains(client) && p.Bits() > longest {
			rule, allowed, longest = p, a, p.Bits()
		}
	}
	return rule, allowed
}

// clientsFrom takes allow, deny and one client from bytes. Few bits vary, so that prefixes
// nest and tie.
func clientsFrom(data []byte) (allow, deny []netip.Prefix, client netip.Addr) {
	next := func() (b byte) {
		if len(data) > 0 {
			b, data = data[0], data[1:]
		}
		return b
	}
	address := func(b byte) netip.Addr {
		if b&0x80 == 0 {
			return netip.AddrFrom4([4]byte{198, 51, 100, b & 15})
		}
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: b & 15})
	}
	list := func() (list []netip.Prefix) {
		for range next() % 5 {
			a, length := address(next()), int(next())
			bits := a.BitLen() - length%5
			if length&0x80 != 0 {
				bits = 0
			}
			p, _ := a.Prefix(bits)
			list = append(list, p)
		}
		return list
	}
	return list(), list(), address(next())
}

func checkClients(t *testing.T, data []byte) {
	allow, deny, client := clientsFrom(data)
	c, want := config.NewClients(allow, deny), admits(allow, deny, client)
	if got := c.Admits(client); got != want {
		t.Fatalf("allow %v, deny %v: Admits(%v) is %v, want %v", allow, deny, client, got, want)
	}
	if client.Is4() && c.Admits(netip.AddrFrom16(client.As16())) != want {
		t.Fatalf("allow %v, deny %v: the mapped form of %v is judged differently", allow, deny, client)
	}
	if client.Is6() && c.Admits(client.WithZone("eth0")) != want {
		t.Fatalf("allow %v, deny %v: %v with a zone is judged differently", allow, deny, client)
	}
	if c == nil {
		return
	}
	rule, allowed := ruleOf(c, client)
	if allowed != want {
		t.Fatalf("allow %v, deny %v: the rules judge %v by %v: %v, want %v", allow, deny, client, rule, allowed, want)
	}
	if got := c.Rule(client.WithZone("eth0")); got != rule && (got.IsValid() || rule.Bits() != 0) {
		t.Fatalf("allow %v, deny %v: Rule(%v) is %v, want %v", allow, deny, client, got, rule)
	}
}

func TestClientsAgainstScan(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	data := make([]byte, 20)
	for range 50_000 {
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		checkClients(t, data)
	}
}

func FuzzClients(f *testing.F) {
	f.Add([]byte{1, 7, 0, 1, 7, 0, 7})       // a tie
	f.Add([]byte{1, 7, 4, 0, 9})             // nested, nothing denied
	f.Add([]byte{0, 1, 0x87, 0x80, 0x83})    // everyone of a family is denied
	f.Add([]byte{2, 7, 0x80, 3, 1, 0, 0x81}) // IPv4 alone is allowed
	f.Fuzz(checkClients)
}

func TestClientsOfARouteWithoutLists(t *testing.T) {
	c := config.NewClients(nil, nil)
	for _, client := range []string{"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"} {
		if !c.Admits(netip.MustParseAddr(client)) {
			t.Errorf("%s is not admitted", client)
		}
	}
	for p, allowed := range c.Rules() {
		t.Errorf("there is a rule: %v, %v", p, allowed)
	}
}

func BenchmarkClients(b *testing.B) {
	deny := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for _, test := range []struct {
		name   string
		deny   []netip.Prefix
		client string
	}{
		{"none", nil, "192.0.2.1"},
		{"IPv4", deny, "192.0.2.1"},
		{"IPv6", deny, "2001:db9::1"},
	} {
		b.Run(test.name, func(b *testing.B) {
			c, client := config.NewClients(nil, test.deny), netip.MustParseAddr(test.client)
			for b.Loop() {
				c.Admits(client)
			}
		})
	}
}
