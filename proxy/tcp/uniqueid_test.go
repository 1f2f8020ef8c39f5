package tcp_test

import (
	"io"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// TestUniqueID: the id of a conn in the record is the one that its origin got, after a move too.
func TestUniqueID(t *testing.T) {
	addr, conns := accepting(t)
	r := forward(addr)
	r.ProxyProtocol, r.ProxyTLVs = config.ProxyV2, []config.ProxyTLV{{Kind: config.TLVUniqueID}}
	p, next := twins(t, r)
	var ids [2]string
	for n, moves := range []bool{false, true} {
		client, origin := p.pair(conns)
		head := make([]byte, 16+12+3+16)
		if _, err := io.ReadFull(origin, head); err != nil {
			t.Fatal(err)
		}
		ids[n] = string(header.UniqueIDOf(head))
		ended := p
		if moves {
			if err := p.move(next, quietly); err != nil {
				t.Fatal(err)
			}
			ended = next
		}
		client.Close()
		origin.Close()
		if got := ended.ends(route.Closed); got.UniqueID != ids[n] || got.ID.String() != ids[n] {
			t.Errorf("moves %v: the record has %q and id %v, and the origin %q", moves, got.UniqueID, got.ID, ids[n])
		}
	}
	if ids[0] == ids[1] {
		t.Errorf("two conns have the same id, %x", ids[0])
	}
}

// TestTLVsOfRemovedRoute moves a conn that dials to a process whose file has no such route: its origin
// still gets the header with the TLVs.
func TestTLVsOfRemovedRoute(t *testing.T) {
	tidy(t)
	fd, addr := listen(t, netip.MustParseAddrPort("127.0.0.1:0"))
	dropAll := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &dropAll[0]}); err != nil {
		t.Fatal(err)
	}
	r := forward(addr)
	r.ProxyProtocol, r.ProxyTLVs = config.ProxyV2, []config.ProxyTLV{{Kind: config.TLVText, First: 0xE1, Last: 0xE1, Text: "edge"}}
	p, next := twins(t, r)
	next.live.Swap(table{}, nil)
	p.dial()
	await(t, func() bool { return p.route.Origins().Origins[0].Active() == 1 }, "it is not dialled")
	if err := p.move(next, quietly); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil { // it takes the next SYN
		t.Fatal(err)
	}
	var conn int
	await(t, func() (ok bool) {
		var err error
		conn, _, err = unix.Accept(fd)
		return err == nil
	}, "the origin is not reached")
	defer unix.Close(conn)
	head := make([]byte, 16+12+3+4)
	await(t, func() bool {
		n, _, err := unix.Recvfrom(conn, head, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err == nil && n >= 16+12
	}, "the origin gets no header")
	if got := string(head[16+12:]); got != "\xe1\x00\x04edge" {
		t.Errorf("the TLVs are %q", got)
	}
}
