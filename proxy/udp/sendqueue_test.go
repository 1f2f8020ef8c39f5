package udp

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/route"
)

// pair is two connected sockets that keep datagrams and their order. The one that
// sends answers EAGAIN once the other's queue is full, which loopback UDP never does.
func pair(t *testing.T) (sends, receives int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK, 0)
	check(t, err)
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

// stuff makes fd answer EAGAIN, however wide it becomes.
func stuff(t *testing.T, fd int) {
	t.Helper()
	for datagram.GrowSendBuffer(fd) {
	}
	fill(t, fd)
}

// fill makes fd answer EAGAIN.
func fill(t *testing.T, fd int) {
	t.Helper()
	for range 1 << 20 {
		if err := unix.Send(fd, []byte("full"), 0); err == unix.EAGAIN {
			return
		}
	}
	t.Fatal("the socket takes everything")
}

// receiveBatch makes a batch of small buffers.
func receiveBatch(t *testing.T, size int) *datagram.ReceiveBatch {
	t.Helper()
	in, err := datagram.NewReceiveBatch(size)
	check(t, err)
	t.Cleanup(in.Close)
	return in
}

// drained is all that fd has received.
func drained(t *testing.T, fd int) (got []string) {
	t.Helper()
	in := receiveBatch(t, 1<<10)
	for {
		_, end, err := in.Read(fd, datagram.BatchSize)
		if err != nil {
			return got
		}
		for i := range end {
			got = append(got, string(in.Bytes(i)))
		}
		in.Reset()
	}
}

// began returns a table with one flow, after a first datagram of n bytes.
func began(t *testing.T, r *config.Route, client, dst netip.AddrPort, n int) (*testTable, *liveFlow) {
	t.Helper()
	f := newTestTable(10, live(r, dst))
	fl := f.datagram(flow.KeyOf(client, dst), n, 1)
	if fl == nil {
		t.Fatal("the flow was refused")
	}
	return f, fl
}

// sending is a flow whose origin socket is fd. Its datagrams leave one by one, for a
// pair of Unix sockets takes no train apart.
func sending(t *testing.T, fd int, kind config.ProxyProtocol) (*testTable, *liveFlow) {
	t.Helper()
	r := to(originAddr)
	r.ProxyProtocol = kind
	f, fl := began(t, r, client1, dst1, 0)
	fl.Sockets.fd = int32(fd)
	fl.Sockets.paths[route.ToOrigin].RefuseTrains(1)
	return f, fl
}

// submit decides on payload and queues it.
func submit(t *testing.T, q *sendQueue, f *testTable, fl *liveFlow, payload string) {
	t.Helper()
	if f.datagram(fl.Key, len(payload), 2) == nil {
		t.Fatal("the datagram is not forwarded")
	}
	header := fl.AppendHeader(nil)
	q.add(fl, route.ToOrigin, datagram.Outgoing{FD: int(fl.Sockets.fd), Header: header, Payload: []byte(payload)})
}

func toOrigin(f *testTable) map[route.Verdict]uint64 {
	return f.routes.Set().Routes[0].Stats.Totals().Datagrams[route.ToOrigin]
}

// TestSendQueueKeepsOrder: two flows whose datagrams come in turns are sent a socket
// at a time, each in its own order, also where more wait than fit in a batch.
func TestSendQueueKeepsOrder(t *testing.T) {
	var q sendQueue
	var d datagram.Dialer
	origins := []peer{newPeer(t, "127.0.0.1"), newPeer(t, "127.0.0.1")}
	var tables []*testTable
	for _, origin := range origins {
		fd, err := d.Dial(origin.addr(), nil)
		check(t, err)
		defer unix.Close(fd)
		f, _ := sending(t, fd, config.ProxyOff)
		tables = append(tables, f)
	}
	const n = 2*datagram.BatchSize + 10
	for i := range n {
		f := tables[i%2]
		submit(t, &q, f, f.Find(flow.KeyOf(client1, dst1)), fmt.Sprint(i))
	}
	q.flush()
	for i := range n {
		if got, _ := origins[i%2].receive(); string(got) != fmt.Sprint(i) {
			t.Fatalf("received %q, want %d", got, i)
		}
	}
}

func TestBlockedFlowDelaysNoOtherFlow(t *testing.T) {
	var q sendQueue
	blocked, _ := pair(t)
	stuff(t, blocked)
	free, receives := pair(t)
	tableA, a := sending(t, blocked, config.ProxyOff)
	tableB, b := sending(t, free, config.ProxyOff)
	for range 3 {
		submit(t, &q, tableA, a, "lost")
		submit(t, &q, tableB, b, "kept")
	}
	q.flush()
	if diff := cmp.Diff([]string{"kept", "kept", "kept"}, drained(t, receives)); diff != "" {
		t.Errorf("the free flow (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[route.Verdict]uint64{route.SendFailed: 3}, toOrigin(tableA)); diff != "" {
		t.Errorf("the blocked flow (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[route.Verdict]uint64{route.Forwarded: 3}, toOrigin(tableB)); diff != "" {
		t.Errorf("the free flow (-want +got):\n%s", diff)
	}
}

// TestOneFailureIsOne: a datagram that the kernel refuses costs the others nothing.
func TestOneFailureIsOne(t *testing.T) {
	var q sendQueue
	sends, receives := pair(t)
	f, fl := sending(t, sends, config.ProxyOff)
	check(t, unix.SetsockoptInt(sends, unix.SOL_SOCKET, unix.SO_SNDBUF, 1)) // the kernel makes it 4,608
	submit(t, &q, f, fl, "before")
	submit(t, &q, f, fl, string(bytes.Repeat([]byte("x"), 30000)))
	submit(t, &q, f, fl, "after")
	q.flush()
	if diff := cmp.Diff([]string{"before", "after"}, drained(t, receives)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[route.Verdict]uint64{route.Forwarded: 2, route.SendFailed: 1}, toOrigin(f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestFullSocketIsWidened: a send buffer that is too small for a burst costs nothing.
func TestFullSocketIsWidened(t *testing.T) {
	var q sendQueue
	sends, receives := pair(t)
	check(t, unix.SetsockoptInt(sends, unix.SOL_SOCKET, unix.SO_SNDBUF, 1)) // the kernel makes it 4,608
	fill(t, sends)
	f, fl := sending(t, sends, config.ProxyOff)
	submit(t, &q, f, fl, "kept")
	q.flush()
	if got := drained(t, receives); got[len(got)-1] != "kept" {
		t.Errorf("received %q", got)
	}
	if diff := cmp.Diff(map[route.Verdict]uint64{route.Forwarded: 1}, toOrigin(f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestHeaderGoesWithTheFirstThatLeaves: v2-first is owed until the kernel took it.
func TestHeaderGoesWithTheFirstThatLeaves(t *testing.T) {
	var q sendQueue
	sends, receives := pair(t)
	stuff(t, sends)
	f, fl := sending(t, sends, config.ProxyV2First)
	lead := fl.AppendHeader(nil)
	header := string(lead)
	submit(t, &q, f, fl, "lost")
	q.flush()
	drained(t, receives)
	for _, text := range []string{"first", "second"} {
		submit(t, &q, f, fl, text)
		q.flush()
	}
	if diff := cmp.Diff([]string{header + "first", "second"}, drained(t, receives)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
