package integration

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
	"golang.org/x/sys/unix"
)

// acceptFile has a route whose peers, the host "client", name its clients, and one that has other peers.
const acceptFile = `[log]
access = "ACCESS"
[route.in]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins  = ["10.0.0.5:4000"]
proxy_protocol = "v2"
proxy_tlvs = ["unique-id", "crc32c", "0xE1=edge"]
accept_proxy = ["198.51.100.0/24", "2001:db8:c::/64"]
deny = ["198.51.100.0/24", "192.0.2.99"] # the peers themselves, which the kernel must not deny
header_timeout = "20s"
[route.stranger]
protocol = ["tcp", "udp"]
prefixes = ["203.0.113.0/24"]
origins  = ["10.0.0.5:4000"]
accept_proxy = ["10.9.9.0/24"]
`

// The client and the dst that headers name.
var (
	namedClient = map[string]netip.AddrPort{"4": netip.MustParseAddrPort("192.0.2.200:4711"), "6": netip.MustParseAddrPort("[2001:db8:99::7]:4711")}
	namedDst    = map[string]netip.AddrPort{"4": netip.MustParseAddrPort("203.0.113.80:443"), "6": netip.MustParseAddrPort("[2001:db8:99::80]:443")}
)

// inboundHeader names a client of a family for a protocol.
func inboundHeader(t *testing.T, version byte, protocol, family string) string {
	t.Helper()
	var client, dst net.Addr = net.TCPAddrFromAddrPort(namedClient[family]), net.TCPAddrFromAddrPort(namedDst[family])
	if protocol == "udp" {
		client, dst = net.UDPAddrFromAddrPort(namedClient[family]), net.UDPAddrFromAddrPort(namedDst[family])
	}
	b, err := proxyproto.HeaderProxyFromAddrs(version, client, dst).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestAcceptProxy: the origin, the list of flows and the access log hear of the client that a peer names,
// through an upgrade within the header too. What the peer's own address is denied or allowed does not
// matter, and other peers are refused by the kernel.
func TestAcceptProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.client.route(t, "203.0.113.0/24", edgeV4)
	r.origin.serve(t, "10.0.0.5:4000", witness)
	r.origin.answer(t, "10.0.0.5:4000", witnessDatagram)
	access := t.TempDir() + "/access.log"
	p := r.edge.serveWith(t, strings.ReplaceAll(acceptFile, "ACCESS", access))
	f := newFamily(t, p)

	halves := map[string]net.Conn{} // each with half of its header
	for _, c := range []struct {
		version byte
		family  string
		dst     string
	}{{1, "4", dstV4}, {2, "4", dstV4}, {1, "6", dstV4}, {2, "6", dstV6}, {1, "4", dstV6}} {
		conn := r.client.dial(t, "tcp", net.JoinHostPort(c.dst, "81"))
		head := inboundHeader(t, c.version, "tcp", c.family)
		io.WriteString(conn, head[:9])
		halves[head[9:]+"|"+c.family+"|"+c.dst] = conn
	}
	eventually(t, "the conns wait for their headers", func() bool { return p.status(t).route(t, "in").ConnsActive == len(halves) })
	old := f.pids[len(f.pids)-1]
	f.upgrade(t)
	f.gone(t, old)
	for half, conn := range halves {
		part := strings.Split(half, "|")
		want := expected("tcp"+part[1], namedClient[part[1]], namedDst[part[1]], "question\n")
		if got := trade(t, conn, part[0]+"question\n"); got != want {
			t.Errorf("%s: answered %q, want %q", half, got, want)
		}
		conn.Close()
	}
	for family, dst := range map[string]string{"4": dstV4, "6": dstV6} {
		conn := r.client.dial(t, "udp", net.JoinHostPort(dst, "82"))
		want := expected("udp"+family, namedClient[family], namedDst[family], "a question of some length, so that its answer is no amplification")
		question := inboundHeader(t, 2, "udp", family) + "a question of some length, so that its answer is no amplification"
		if got := trade(t, conn, question); got != want {
			t.Errorf("%s: answered %q, want %q", dst, got, want)
		}
		var list struct {
			Flows []struct{ Protocol, Client, Peer string }
		}
		answer := anyport(t, "flows", "--json", "--socket", p.socket)
		if err := json.Unmarshal([]byte(answer.stdout), &list); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range list.Flows {
			found = found || f.Protocol == "udp" && f.Client == namedClient[family].String() && f.Peer == conn.LocalAddr().String()
		}
		if !found {
			t.Errorf("%s: listed %s", dst, answer.stdout)
		}
	}

	denied := r.client.dial(t, "tcp", dstV4+":81")
	io.WriteString(denied, "PROXY TCP4 192.0.2.99 203.0.113.80 1 443\r\n")
	if _, err := io.ReadAll(denied); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a denied client got %v", err)
	}
	bare := r.client.dial(t, "tcp", dstV4+":81")
	io.WriteString(bare, "question\n")
	if _, err := io.ReadAll(bare); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a conn without a header got %v", err)
	}
	var err error
	r.client.do(func() { _, err = net.DialTimeout("tcp", "203.0.113.7:81", 10*time.Second) })
	if !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("a stranger got %v", err)
	}
	if n := p.status(t).route(t, "stranger").Denied; n == 0 {
		t.Error("the kernel has not counted the stranger")
	}
	eventually(t, "the access log has the conns", func() bool {
		log, _ := os.ReadFile(access)
		for _, line := range []string{
			`client=192.0.2.200:4711 dst=192.0.2.7:81 origin=10.0.0.5:4000`, `client=[2001:db8:99::7]:4711 dst=192.0.2.7:81`,
			`unique_id=`, `verdict=bad_header`, `verdict=denied`, `peer=198.51.100.2:`, `peer=[2001:db8:c::2]:`,
		} {
			if !strings.Contains(strings.ReplaceAll(string(log), `"`, ""), line) {
				return false
			}
		}
		return true
	})
}

// TestAcceptProxyReload: a conn in its header keeps the route that it came to, and a new one needs the
// header or not as the new file says.
func TestAcceptProxyReload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4000", echo)
	const plain = "[route.in]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5:4000\"]\n"
	const naming = plain + "accept_proxy = [\"198.51.100.0/24\"]\nheader_timeout = \"20s\"\n"
	p := r.edge.serveWith(t, naming)
	old := r.client.dial(t, "tcp", dstV4+":81")
	io.WriteString(old, "PROXY TCP4 192.0.2.200 ")
	eventually(t, "it waits for its header", func() bool { return p.status(t).route(t, "in").ConnsActive == 1 })
	p.write(t, plain)
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	talk(t, r.client.dial(t, "tcp", dstV4+":81"), "no header")
	io.WriteString(old, "203.0.113.80 1 443\r\n")
	talk(t, old, "after the header")
	p.write(t, naming)
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
		t.Fatalf("%+v", got)
	}
	bare := r.client.dial(t, "tcp", dstV4+":81")
	io.WriteString(bare, "no header")
	if _, err := io.ReadAll(bare); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("without a header: %v", err)
	}
}

// TestAcceptProxyLiveFlow: a flow that a peer names goes on while another table, which has a route without accept_proxy
// for its dst, serves the peer's new flows, and while it drains after a reload that removes its route.
func TestAcceptProxyLiveFlow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.answer(t, "10.0.0.5:4000", func(datagram []byte) []byte { return datagram })
	const naming = "[route.in]\nprotocol = \"udp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5:4000\"]\naccept_proxy = [\"198.51.100.0/24\"]\n"
	const plain = "[route.plain]\nprotocol = \"udp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5:4000\"]\n"
	p := r.edge.serveWith(t, naming)
	flow, head := r.client.dial(t, "udp", dstV4+":4000"), inboundHeader(t, 2, "udp", "4")
	goesOn := func(when string) {
		t.Helper()
		if got := trade(t, flow, head+when); got != when {
			t.Errorf("%s the origin got %q", when, got)
		}
	}
	goesOn("at first")
	p.write(t, plain)
	p.reloadIs(t, 0, "serves 99.999% of the clients", "--share", "99.999%")
	goesOn("during a trial")
	if got := trade(t, r.client.dial(t, "udp", dstV4+":4000"), "plain"); got != "plain" {
		t.Errorf("a new flow without a header: %q", got)
	}
	p.reloadIs(t, 0, "serves all clients", "--back")
	goesOn("after the trial")
	p.reloadIs(t, 0, "is in service")
	goesOn("while it drains")
}
