package tcp_test

import (
	"io"
	"testing"

	"anyport/config"
	"anyport/proxy/header"
	"anyport/proxy/route"
)

// TestUniqueID: the record of a conn has the id that its origin got, after a move too.
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
		if got := ended.ends(route.Closed).UniqueID; got != ids[n] || len(got) != 16 {
			t.Errorf("moves %v: the record has %x, and the origin %x", moves, got, ids[n])
		}
	}
	if ids[0] == ids[1] {
		t.Errorf("two conns have the same id, %x", ids[0])
	}
}
