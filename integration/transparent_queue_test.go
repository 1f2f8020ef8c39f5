package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
)

// transparentQueueFile has a place for one client of each family, and a route of which IPv4 clients alone
// can be served. The clients are named by a header there.
const transparentQueueFile = `
[route.both]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
protocol = "tcp"
origins  = [{ address = "10.0.0.5", max_conns = 1 }, { address = "fd00:5::5", max_conns = 1 }]
queue = 5
queue_timeout = "1h"
transparent = true
[route.named]
prefixes = ["203.0.113.0/24"]
protocol = "tcp"
origins  = [{ address = "10.0.0.5", max_conns = 1 }]
queue = 5
queue_timeout = "1h"
accept_proxy = ["198.51.100.0/24"]
transparent = `

// TestTransparentQueue: clients of one family wait neither for nor behind those of the other one, also over
// an upgrade. A client that no origin can be dialled for never waits: it is refused when it comes, or when
// a reload makes its route transparent.
func TestTransparentQueue(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	p := r.edge.serveWith(t, transparentQueueFile+"true\n")
	f := newFamily(t, p)
	waiting := func(route string, n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d conns of %s wait", n, route), func() bool {
			got := p.status(t).route(t, route).QueueWaiting
			return got != nil && *got == n
		})
	}
	ask := func(dst, first string) net.Conn {
		t.Helper()
		conn := r.client.dial(t, "tcp", port(dst, 4711))
		if _, err := io.WriteString(conn, first+"who?\n"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	answered := func(conn net.Conn, client string) {
		t.Helper()
		if got, err := bufio.NewReader(conn).ReadString('\n'); err != nil || got != client+" who?\n" {
			t.Fatalf("the origin answers %q, %v, want it to see %s", got, err, client)
		}
	}
	const client4, client6 = "198.51.100.77:1234", "[2001:db8:c::77]:1234"
	refused := func(when string, ended uint64) {
		t.Helper()
		eventually(t, "it is refused "+when, func() bool {
			return p.status(t).route(t, "named").Ended["tcp"]["no_origin_for_client"] == ended
		})
	}

	first4 := ask(dstV4, "")
	answered(first4, first4.LocalAddr().String())
	second4 := ask(dstV4, "")
	waiting("both", 1)
	first6 := ask(dstV6, "")
	answered(first6, first6.LocalAddr().String())
	second6 := ask(dstV6, "")
	waiting("both", 2)
	named := ask("203.0.113.7", headerNaming(t, "tcp", client4))
	answered(named, client4)
	next := ask("203.0.113.7", headerNaming(t, "tcp", "198.51.100.78:1234"))
	waiting("named", 1)
	ask("203.0.113.7", headerNaming(t, "tcp", client6))
	refused("behind others", 1)

	f.upgrade(t)
	waiting("both", 2)
	first6.Close()
	answered(second6, second6.LocalAddr().String())
	waiting("both", 1)
	first4.Close()
	answered(second4, second4.LocalAddr().String())

	p.write(t, transparentQueueFile+"false\n")
	f.reload(t)
	ask("203.0.113.7", headerNaming(t, "tcp", client6))
	waiting("named", 2)
	p.write(t, transparentQueueFile+"true\n")
	f.reload(t)
	refused("by the reload", 2)
	named.Close()
	answered(next, "198.51.100.78:1234")
}
