package probe_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/probe"
)

// patience is what no test should need.
const patience = 20 * time.Second

// check is a check of an address with generous limits.
func check(t *testing.T, to string, change func(*config.Health)) probe.Check {
	t.Helper()
	h := config.Health{Type: config.CheckTCP, Interval: patience, Timeout: patience, Rise: 2, Fall: 3, Path: "/"}
	if change != nil {
		change(&h)
	}
	return probe.Check{Rules: h, To: netip.MustParseAddrPort(to), Header: h.Header}
}

// serveTCP answers each conn, which it then closes.
func serveTCP(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); answer(c) }()
		}
	}()
	return l.Addr().String()
}

// serveUDP answers each datagram, unless the answer is nil.
func serveUDP(t *testing.T, answer func([]byte) []byte) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() { // ends with the socket
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if out := answer(b[:n]); out != nil {
				c.WriteTo(out, from)
			}
		}
	}()
	return c.LocalAddr().String()
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return l.Addr().String()
}

// afterHeader reads a header, which must say that nobody is proxied, and goes on with what follows.
func afterHeader(t *testing.T, version byte, answer func(*bufio.Reader, net.Conn)) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		h, err := proxyproto.Read(in)
		if err != nil || h.Version != version || version == 2 && !h.Command.IsLocal() || h.TransportProtocol != proxyproto.UNSPEC {
			t.Errorf("header %+v (%v), want version %d of the proxy itself", h, err, version)
			return
		}
		answer(in, c)
	}
}

func TestCheck(t *testing.T) {
	status := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Host != r.Context().Value(http.LocalAddrContextKey).(net.Addr).String() || r.URL.Path != "/up" {
				code = 418
			}
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(code)
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	greets := serveTCP(t, func(c net.Conn) { io.WriteString(c, "220 mail ready\r\n") })
	asks := serveTCP(t, func(c net.Conn) {
		if line, _ := bufio.NewReader(c).ReadString('\n'); line == "PING\n" {
			io.WriteString(c, "+PONG\r\n")
		}
	})
	silent := serveTCP(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	pong := serveUDP(t, func(b []byte) []byte {
		if string(b) == "ping" {
			return []byte("pong!")
		}
		return nil
	})
	tcp := func(send, expect string) func(*config.Health) {
		return func(h *config.Health) { h.Send, h.Expect, h.Timeout = send, expect, 300*time.Millisecond }
	}
	udp := func(send, expect string) func(*config.Health) {
		return func(h *config.Health) {
			h.Type, h.Send, h.Expect, h.Timeout = config.CheckUDP, send, expect, 300*time.Millisecond
		}
	}
	get := func(h *config.Health) { h.Type, h.Path = config.CheckHTTP, "/up" }
	handshake := func(h *config.Health) { h.Type, h.Timeout = config.CheckTLS, 300*time.Millisecond }
	for _, test := range []struct {
		name   string
		to     string
		change func(*config.Health)
		failed string // a part of why; "": it passes
	}{
		{"connects", silent, nil, ""},
		{"refused", closedPort(t), nil, "connection refused"},
		{"greeting", greets, tcp("", "220 "), ""},
		{"other greeting", greets, tcp("", "421"), `begins with "220"`},
		{"question", asks, tcp("PING\n", "+PONG"), ""},
		{"bytes", asks, tcp("hex:50494e470a", "hex:2b50"), ""},
		{"other question", asks, tcp("PANG\n", "+PONG"), `begins with ""`},
		{"no greeting", silent, tcp("", "220"), "no answer within 300ms"},
		{"datagram", pong, udp("ping", "pong"), ""},
		{"other answer", pong, udp("ping", "pang"), `begins with "pong!"`},
		{"no datagram", pong, udp("pang", "pong"), "no answer within 300ms"},
		{"closed udp port", closedPort(t), udp("ping", "pong"), "connection refused"},
		{"200", status(200), get, ""},
		{"204", status(204), get, ""},
		{"302 is not followed", status(302), get, ""},
		{"399", status(399), get, ""},
		{"404", status(404), get, "status 404"},
		{"503", status(503), get, "status 503"},
		{"not http", greets, get, "malformed HTTP"},
		{"tls", secure.Listener.Addr().String(), handshake, ""},
		{"not tls", greets, handshake, "tls: first record does not look like"},
		{"silent tls", silent, handshake, "no answer within 300ms"},
		{"v1", serveTCP(t, afterHeader(t, 1, func(_ *bufio.Reader, c net.Conn) { io.WriteString(c, "hi") })),
			func(h *config.Health) { h.Header, h.Expect = config.ProxyV1, "hi" }, ""},
		{"v2", serveTCP(t, afterHeader(t, 2, func(in *bufio.Reader, c net.Conn) { io.WriteString(c, "hi") })),
			func(h *config.Health) { h.Header, h.Expect = config.ProxyV2, "hi" }, ""},
		{"tls behind v2", serveTCP(t, afterHeader(t, 2, func(in *bufio.Reader, c net.Conn) {
			tls.Server(buffered{c, in}, secure.TLS).Handshake()
		})), func(h *config.Health) { h.Type, h.Header = config.CheckTLS, config.ProxyV2 }, ""},
		{"datagram with v2", serveUDP(t, func(b []byte) []byte {
			h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
			if err != nil || !h.Command.IsLocal() || !bytes.HasSuffix(b, []byte("ping")) {
				t.Errorf("%q: %+v, %v", b, h, err)
			}
			return []byte("pong")
		}), func(h *config.Health) { udp("ping", "pong")(h); h.Header = config.ProxyV2 }, ""},
		{"datagram with spp", serveUDP(t, func(b []byte) []byte {
			if _, _, payload, err := header.ParseSPP(b); err != nil || string(payload) != "ping" {
				t.Errorf("%q: %v", b, err)
			}
			return append(bytes.Clone(b[:header.SPPSize]), "pong"...)
		}), func(h *config.Health) { udp("ping", "pong")(h); h.Header = config.ProxySPP }, ""},
		{"spp without its header", pong, func(h *config.Health) { udp("ping", "pong")(h); h.Header = config.ProxySPP }, "no answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := check(t, test.to, test.change).Do(t.Context())
			if r.Passed() != (test.failed == "") || !strings.Contains(r.Failed, test.failed) {
				t.Errorf("failed because %q, want %q", r.Failed, test.failed)
			}
			if r.At.IsZero() || r.Took <= 0 {
				t.Errorf("no time: %+v", r)
			}
		})
	}
}

// buffered is a conn of which something was read ahead.
type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// TestOf: which check an origin of a route has.
func TestOf(t *testing.T) {
	at := netip.MustParseAddr
	for _, test := range []struct {
		name   string
		origin config.Origin
		route  config.Route
		want   string
	}{
		{"none", config.Origin{Addr: at("10.0.0.5")}, config.Route{}, "none"},
		{"own port", config.Origin{Addr: at("10.0.0.5"), Ports: config.PortRange{First: 80, Last: 80}},
			config.Route{Health: &config.Health{}}, "10.0.0.5:80 from invalid IP, off"},
		{"another port, source and header", config.Origin{Addr: at("2001:db8::5")},
			config.Route{Health: &config.Health{Port: 8080, Header: config.HeaderOfRoute}, ProxyProtocol: config.ProxyV2,
				Protocols: []config.Protocol{config.TCP}, Source: []netip.Addr{at("10.0.0.2"), at("2001:db8::2")}}, "[2001:db8::5]:8080 from 2001:db8::2, v2"},
		{"a conn to an origin of datagrams", config.Origin{Addr: at("10.0.0.5")},
			config.Route{Health: &config.Health{Port: 8080, Header: config.HeaderOfRoute}, ProxyProtocol: config.ProxySPP,
				Protocols: []config.Protocol{config.UDP}}, "10.0.0.5:8080 from invalid IP, off"},
		{"a datagram", config.Origin{Addr: at("10.0.0.5")},
			config.Route{Health: &config.Health{Type: config.CheckUDP, Port: 53, Header: config.HeaderOfRoute}, ProxyProtocol: config.ProxySPP,
				Protocols: []config.Protocol{config.UDP}}, "10.0.0.5:53 from invalid IP, spp"},
	} {
		got := "none"
		if c, ok := probe.Of(&test.route, test.origin); ok {
			header := c.Header
			if header == "" {
				header = config.ProxyOff
			}
			got = c.To.String() + " from " + c.Source.String() + ", " + string(header)
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
