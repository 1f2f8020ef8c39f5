package integration

import (
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

const twoSourcesFile = `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
source   = ["10.0.0.1", "10.0.0.2"]
`

// addSource gives the edge a second address on the origin's link.
func (r *rig) addSource(t *testing.T) (remove func()) {
	t.Helper()
	device, err := r.edge.net.LinkByName("origin0")
	if err != nil {
		t.Fatal(err)
	}
	second, _ := netlink.ParseAddr("10.0.0.2/24")
	if err := r.edge.net.AddrAdd(device, second); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := r.edge.net.AddrDel(device, second); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTwoSources opens as many conns to one address of an origin as two source addresses have ports, far
// more than one has: none fails, and each source's share shows in the status. One more is refused; once
// one has ended, the next is served. When one of the addresses is removed from the host, conns go on
// from the other one.
//
// Two files a conn are open in anyport and two here, more than many machines allow a process. So the host
// has fewer ports than the usual 28,232 of an address: TestManyConnsFromTwoSources has all of them.
func TestTwoSources(t *testing.T) {
	t.Parallel()
	ports := soak(1500, 4500)
	raiseFiles(t, uint64(4*ports+500))
	r := newRig(t)
	removeSecond := r.addSource(t)
	r.edge.dialFrom(t, 20000, 20000+ports-1)
	r.origin.serve(t, "10.0.0.5:4711", func(conn net.Conn) { // echo would splice, by two files more
		replyAll(conn, func(piece []byte) []byte { return piece })
	})
	p := r.edge.serveWith(t, twoSourcesFile)
	used := func() map[string]int { return p.status(t).route(t, "web").Origins[0].SourcePorts }

	began := time.Now()
	const spare = 5 // the kernel may leave a port of its range out, or use one otherwise
	conns := r.client.dialMany(t, dstV4+":4711", 2*(ports-spare))
	all(t, conns, func(conn net.Conn) error { return echoed(conn, "all served") })
	t.Logf("%d conns from two sources with %d ports each, in %v", len(conns), ports, time.Since(began).Round(time.Millisecond))
	// Each event loop takes turns by itself, so one source may have a few conns more.
	if got := used(); got["10.0.0.1"]+got["10.0.0.2"] != len(conns) || max(got["10.0.0.1"], got["10.0.0.2"]) > ports {
		t.Errorf("ports in use: %v, want %d in all, %d of each source at most", got, len(conns), ports)
	}
	one := func() error {
		conn, err := r.client.tryDial("tcp", "", dstV4+":4711")
		if err != nil {
			return err
		}
		conn.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { conn.Close() })
		return echoed(conn, "one more")
	}
	more := 0
	for began = time.Now(); one() == nil; began = time.Now() {
		if more++; more > 2*spare {
			t.Fatal("conns are served without a port")
		}
	}
	t.Logf("%d more are served, and the next is refused in %v", more, time.Since(began).Round(time.Millisecond))
	if got := p.status(t).route(t, "web").Ended["tcp"]; got["out_of_ports"] != 1 || len(got) != 1 {
		t.Errorf("conns have ended with %v, want one without a port", got)
	}

	conns[0].(*net.TCPConn).SetLinger(0) // RST: the port has no TIME_WAIT
	conns[0].Close()
	eventually(t, "a port is free, and the next conn served", func() bool { return one() == nil })

	for _, conn := range conns[1:ports] {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	eventually(t, "half of them have ended", func() bool { return p.status(t).route(t, "web").ConnsActive <= ports+1 })
	removeSecond()
	before := used()["10.0.0.1"]
	rest := r.client.dialMany(t, dstV4+":4711", 100)
	all(t, rest, func(conn net.Conn) error { return echoed(conn, "from the other") })
	if got := used()["10.0.0.1"]; got != before+len(rest) {
		t.Errorf("%d ports of the source that is left are in use, want %d", got, before+len(rest))
	}
}
