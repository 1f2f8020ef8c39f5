package integration

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPeersHosts adds a host to a fleet under load and drains one, repeatedly: no conn is lost, and a
// drained host serves its conns on, although no router sends it a packet.
func TestPeersHosts(t *testing.T) {
	t.Parallel()
	f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2}, backplaneV6: true})
	load := newPeerLoad(t, f.client, soak(40, 300))
	load.churn(soak(50, 500))
	load.settle(t)
	leaving := 1
	for range soak(2, 20) {
		f.hash(t, f.edges...) // one more comes
		load.settle(t)
		e := f.edges[leaving-1]
		f.hash(t, f.without(leaving)...) // as the router does when a prefix is withdrawn
		load.settle(t)
		if got := anyport(t, "drain", "--socket", e.proxy.socket); got.status != 0 {
			t.Fatalf("drain: %+v", got)
		}
		load.settle(t)
		if n := e.conns(t); n == 0 && leaving < 3 { // no conn that stays has begun on the third
			t.Errorf("%s drains, and has no conn that came by its peers", e.Name)
		}
		if got := anyport(t, "drain", "--undo", "--socket", e.proxy.socket); got.status != 0 {
			t.Fatalf("drain --undo: %+v", got)
		}
		leaving = leaving%3 + 1
	}
	f.expectTaken(t)

	// A host stops when its last conn has ended.
	f.hash(t, f.only(2, 3)...)
	load.settle(t)
	f.edges[0].proxy.signal(t, syscall.SIGTERM)
	f.edges[0].proxy.expect(t, "stopping: nothing new is taken")
	load.settle(t)
	if f.edges[0].conns(t) == 0 {
		t.Error("the host that stops has no conns")
	}
	load.expectNoneLost(t)
	if status := f.edges[0].proxy.wait(t); status != 0 {
		t.Errorf("anyport ended with %d", status)
	}
}

// TestPeersProcesses upgrades processes, and has peers come and go by reloads, while conns live on hosts
// that their packets do not come to.
func TestPeersProcesses(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2}})
	families := map[*peerEdge]*family{}
	for _, e := range f.edges[:2] {
		families[e] = newFamily(t, e.proxy)
	}
	load := newPeerLoad(t, f.client, 40)
	load.churn(50)
	f.rehash(t, f.only(1, 2)...)
	load.settle(t)
	for range soak(1, 10) {
		for _, e := range f.edges[:2] { // one owns a conn, the other asks for it
			families[e].upgrade(t)
			load.settle(t)
		}
		f.rehash(t, f.only(1, 2)...)
		load.settle(t)
	}
	f.edges[0].reload(t, f.fileWith(f.edges[0], f.only(2)))
	load.settle(t)
	f.edges[0].reload(t, f.file(f.edges[0]))
	load.settle(t)
	f.rehash(t, f.only(1, 2)...)
	load.settle(t)
	load.expectNoneLost(t)
}

// TestPeersKilled: of a host that dies only its own conns are lost, and those are reset, not left hanging. When
// it is back, it takes part again.
func TestPeersKilled(t *testing.T) {
	t.Parallel()
	f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2, 3}})
	load := newPeerLoad(t, f.client, soak(45, 300))
	f.rehash(t, f.edges...)
	load.settle(t)
	dead := f.edges[1]
	own := load.clientsOf(t, dead)
	dead.proxy.signal(t, syscall.SIGKILL)
	dead.proxy.wait(t)
	f.hash(t, f.only(1, 3)...)
	eventually(t, "the conns of the dead host end", func() bool { return len(load.lost()) >= len(own) })
	load.settle(t)
	for _, talk := range load.long {
		client, _, _ := strings.Cut(talk.name, " ")
		if lost := talk.lost() != nil; lost != own[client] {
			t.Errorf("%s: lost %v (%v), of the dead host %v", talk.name, lost, talk.lost(), own[client])
		}
	}
	again := dead.proxy.restart(t)
	f.awaitPeers(t, 2)
	f.hash(t, f.edges...)
	load.settle(t)
	if lost := load.lost(); len(lost) != len(own) {
		t.Errorf("%d conns are lost after the host has come back, %d before", len(lost), len(own))
	}
	again.signal(t, syscall.SIGTERM)
	again.signal(t, syscall.SIGINT) // does not wait for conns
	again.wait(t)
}

// TestPeersKey: hosts whose keys differ do not hear each other, anyport status and doctor say so, and a
// reload with the right key mends it. A key that others may open is refused.
func TestPeersKey(t *testing.T) {
	t.Parallel()
	f := newPeerRig(t, 2)
	f.key = newPeerKey(t)
	f.serve(t, f.edges[0])
	right := f.key
	f.key = newPeerKey(t)
	f.serve(t, f.edges[1])
	e := f.edges[0]
	eventually(t, "packets with another key are counted", func() bool {
		s := e.proxy.status(t)
		return s.Peers.Peers[0].Wrong > 0 && !s.Peers.Peers[0].Alive
	})
	if got := anyport(t, "status", "--socket", e.proxy.socket); !strings.Contains(got.stdout, "ANOTHER KEY") {
		t.Errorf("status:\n%s", got.stdout)
	}
	if got := e.says("doctor", "-c", e.proxy.file); !strings.Contains(got, f.backplaneOf(f.edges[1])+" has another key") {
		t.Errorf("doctor:\n%s", got)
	}
	f.key = right
	f.edges[1].reload(t, f.file(f.edges[1]))
	f.awaitPeers(t, 1)
	if got := e.says("doctor", "-c", e.proxy.file); !strings.Contains(got, "1 of 1 peers alive") {
		t.Errorf("doctor:\n%s", got)
	}
	if err := os.Chmod(right, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := anyport(t, "reload", "--socket", e.proxy.socket); got.status != 1 || !strings.Contains(got.stderr, "chmod 600 "+right) {
		t.Errorf("reload with a key that others may open: %+v", got)
	}
}

// TestPeersBulk: bulk passes the backplane although wrapped packets are longer, and the two sides of the
// router have the same MTU.
func TestPeersBulk(t *testing.T) {
	t.Parallel()
	const size = 8 << 20
	for _, backplaneV6 := range []bool{false, true} {
		f := startPeers(t, peerOptions{edges: 2, use: []int{1}, backplaneV6: backplaneV6})
		for _, address := range []string{originV4 + ":4800", "[" + originV6 + "]:4800"} {
			f.origin.serve(t, address, bulkBack(size))
		}
		for _, dst := range []string{dstV4 + ":4800", "[" + dstV6 + "]:4800"} {
			f.hash(t, f.only(1)...)
			conn := f.client.dial(t, "tcp", dst).(*net.TCPConn)
			f.hash(t, f.only(2)...)
			if err := bulk(conn, size); err != nil {
				t.Errorf("backplane IPv6 %v, %s: %v", backplaneV6, dst, err)
			}
		}
		for _, e := range f.edges {
			p := e.proxy.status(t).Peers
			t.Logf("%s: segment %d, packets %v", e.Name, p.Segment, p.Packets)
			if p.Packets["too_long"] > 0 {
				t.Errorf("%s: %d packets were too long", e.Name, p.Packets["too_long"])
			}
		}
	}
}

// bulkBack takes size bytes and gives as many.
func bulkBack(size int64) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := io.CopyN(io.Discard, conn, size); err == nil {
			io.CopyN(conn, rand.NewChaCha8([32]byte{}), size)
		}
	}
}

// bulk gives size bytes, and takes as many.
func bulk(conn *net.TCPConn, size int64) error {
	conn.SetDeadline(time.Now().Add(2 * patience))
	if _, err := io.CopyN(conn, rand.NewChaCha8([32]byte{}), size); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, conn, size)
	return err
}
