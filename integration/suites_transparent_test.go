package integration

import (
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
)

// The addresses of the suite's host, which is client and origin: what the tests dial from, what they
// listen on, and what they reach.
const suiteClient, suiteOrigin, suiteServed = "198.51.100.2", "10.0.0.5", "192.0.2.1"

const transparentSuiteFile = `
[route.suite]
prefixes = ["192.0.2.1"]
protocol = "tcp"
origins  = ["10.0.0.5"]
transparent = true
`

// TestSuitesTransparent runs the tests of crypto/tls through a transparent route: they demand that the
// peer of an accepted connection is the socket that dialled it. In `make test` these are a few of them;
// ANYPORT_SUITES=1 runs all.
func TestSuitesTransparent(t *testing.T) {
	h, edge := newHost(t, "suite"), newHost(t, "edge")
	join(t, h.port("edge0", suiteClient+"/24", suiteOrigin+"/24"), edge.port("suite0", "198.51.100.1/24", "10.0.0.1/24"))
	h.route(t, suiteServed+"/32", "198.51.100.1")
	h.sendsToItselfThrough(t, "10.0.0.1")
	p := edge.serveWith(t, transparentSuiteFile)
	group := rerouteThrough(t)
	binary, dir := compileSuite(t, "crypto/tls")

	args, least := []string{"-test.run=^Test(Resumption|ALPN|VerifyConnection|TLSUniqueMatches|CloseWrite|ClientAuth)$"}, uint64(10)
	if os.Getenv("ANYPORT_SUITES") == "1" {
		args, least = nil, 200
	}
	out, err := runTests(h, &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}, dir, binary, args...)
	through := p.status(t).route(t, "suite").ConnsTotal
	passed, failed := verdicts(out, "PASS"), verdicts(out, "FAIL")
	t.Logf("crypto/tls: %d of %d passed, %d connections through anyport", len(passed), len(passed)+len(failed), through)
	if through < least {
		t.Errorf("%d connections went through anyport, want %d or more", through, least)
	}
	if err != nil {
		t.Errorf("crypto/tls: %v\n%s", err, out)
		t.Log(compare(h, dir, binary, failed))
	}
}

// sendsToItselfThrough has what the host's origin sends to the host's client leave the host, and
// accepts what comes back with an address of its own.
func (h *host) sendsToItselfThrough(t *testing.T, gateway string) {
	t.Helper()
	h.sysctl(t, map[string]string{"net/ipv4/conf/edge0/accept_local": "1", "net/ipv4/conf/edge0/rp_filter": "0", "net/ipv4/conf/all/rp_filter": "0"})
	for _, args := range [][]string{
		{"route", "add", "default", "via", gateway, "table", "200"},
		{"rule", "add", "pref", "5", "from", suiteOrigin, "to", suiteClient, "lookup", "200"},
		{"rule", "add", "pref", "10", "lookup", "local"},
		{"rule", "del", "pref", "0"},
	} {
		h.output(t, "ip", args...)
	}
}

// rerouteThrough is reroute for a host that is client and origin: its processes listen on one address
// when they ask for loopback, dial the served address from another, and see loopback everywhere.
func rerouteThrough(t *testing.T) *os.File {
	t.Helper()
	group := newCgroup(t)
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	client, origin, served := netip.MustParseAddr(suiteClient), netip.MustParseAddr(suiteOrigin), netip.MustParseAddr(suiteServed)
	attach(t, group, ebpf.AttachCGroupInet4Bind, replace(loopback, origin))
	attach(t, group, ebpf.AttachCGroupInet4Connect, replace(loopback, served))
	for _, addr := range []netip.Addr{client, origin, served} {
		attach(t, group, ebpf.AttachCgroupInet4GetPeername, replace(addr, loopback))
		attach(t, group, ebpf.AttachCgroupInet4GetSockname, replace(addr, loopback))
	}
	return group
}
