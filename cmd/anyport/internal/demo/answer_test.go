package demo

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
)

var (
	client = netip.MustParseAddrPort("198.51.100.7:50123")
	dst    = netip.MustParseAddrPort("192.0.2.77:4711")
)

// TestAnswer goes from the origin's datagram to the client's judgement.
func TestAnswer(t *testing.T) {
	told := proxyproto.HeaderProxyFromAddrs(2, net.UDPAddrFromAddrPort(client), net.UDPAddrFromAddrPort(dst))
	header, err := told.Format()
	if err != nil {
		t.Fatal(err)
	}
	line := echoDatagram(append(header, question(dst)+"\n"...))
	got, err := parseAnswer(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.check(client, dst, question(dst)); err != nil {
		t.Error(err)
	}
	if len(line) > 3*(len(question(dst))+1) {
		t.Errorf("the answer has %d bytes: more than three times the question's %d", len(line), len(question(dst))+1)
	}
}

func TestAnswerIsWrong(t *testing.T) {
	other := netip.MustParseAddrPort("192.0.2.77:4712")
	for _, test := range []struct {
		name string
		got  answer
		want string
	}{
		{"client", answer{other, dst, "hello"}, "received client"},
		{"dst", answer{client, other, "hello"}, "received dst"},
		{"words", answer{client, dst, "hullo"}, `the origin received "hullo"`},
	} {
		if err := test.got.check(client, dst, "hello"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("another %s: error %v, want %q", test.name, err, test.want)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	for _, datagram := range []string{"", "hello\n", "\r\n\r\n\x00\r\nQUIT\n"} {
		if got, err := parseAnswer(echoDatagram([]byte(datagram))); err == nil {
			t.Errorf("a datagram %q without a header has the answer %+v", datagram, got)
		}
	}
}

func TestFile(t *testing.T) {
	c, err := config.Parse("demo.toml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	served := c.Routes[0]
	for _, test := range tries {
		holds(t, served, netip.MustParseAddrPort(test.dst).Addr())
	}
	for _, addr := range swept {
		holds(t, served, addr)
		if c := clientFor(addr); c.Is4() != addr.Is4() {
			t.Errorf("the client for %v is %v", addr, c)
		}
	}
}

func holds(t *testing.T, r *config.Route, addr netip.Addr) {
	t.Helper()
	for _, p := range r.Prefixes {
		if p.Contains(addr) {
			return
		}
	}
	t.Errorf("the demo's file does not serve %v", addr)
}
