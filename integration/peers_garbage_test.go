package integration

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// TestPeersGarbage: packets of conns that nobody has, 10,000 a second from many sources, and forged packets on
// the backplane change nothing for real conns. What reaches the peers is bounded.
func TestPeersGarbage(t *testing.T) {
	t.Parallel()
	f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2, 3}})
	load := newPeerLoad(t, f.client, soak(40, 300))
	load.churn(soak(30, 500))
	load.settle(t)

	const perSecond = 10_000
	to := netip.MustParseAddr(dstV4)
	begun := time.Now()
	stop := f.client.forge(t, to, perSecond, garbage(to))
	forged := f.forgeOnBackplane(t, load)
	for range soak(1, 20) {
		f.rehash(t, f.edges...)
		load.settle(t)
	}
	sent, seconds := stop(), time.Since(begun).Seconds()
	forged()
	asked, found := uint64(0), uint64(0)
	for _, e := range f.edges {
		p := e.proxy.status(t).Peers.Packets
		t.Logf("%s: %v", e.Name, p)
		asked += p["asked"]
		found += p["forged"]
	}
	if sent < perSecond/10 || asked == 0 || float64(asked) > 1.5*float64(sent)+1000*seconds {
		t.Errorf("of %d packets %d were asked about", sent, asked)
	}
	if found == 0 {
		t.Error("no edge has counted a forged packet")
	}
	load.expectNoneLost(t)
}

// garbage makes packets of conns that nobody has, from many sources.
func garbage(to netip.Addr) func(uint64) []byte {
	return func(uint64) []byte {
		from := netip.AddrFrom4([4]byte{203, 0, byte(rand.N(256)), byte(rand.N(256))})
		const ack = 0x10
		return forgedSegment(netip.AddrPortFrom(from, uint16(1024+rand.N(60_000))), netip.AddrPortFrom(to, uint16(1+rand.N(60_000))), ack)
	}
}

// forgeOnBackplane sends what looks like wrapped packets of live conns, with RST, to each edge: with the address
// of a peer and of a stranger, over the backplane and from the clients' side. It does not have the key. It
// returns what ends that.
func (f *peerRig) forgeOnBackplane(t *testing.T, load *peerLoad) (stop func()) {
	t.Helper()
	f.backplane.output(t, "ip", "address", "add", "10.9.0.77/24", "dev", "bridge0")
	stranger, peer := netip.MustParseAddr("10.9.0.77"), netip.MustParseAddr(f.edges[1].backplane())
	to := netip.MustParseAddr(f.edges[0].backplane())
	f.client.output(t, "ip", "route", "replace", to.String()+"/32", "via", edgeV4)
	f.router.output(t, "ip", "route", "replace", to.String()+"/32", "via", f.edges[0].uplink("2"))
	packet := func(from netip.Addr) func(n uint64) []byte {
		return func(n uint64) []byte {
			victim := load.long[n%uint64(len(load.long))]
			if !victim.client.Addr().Is4() {
				victim = load.long[0]
			}
			const rst = 0x04
			inner := forgedSegment(victim.client, victim.dst, rst)
			kind := byte(1 + n%2) // ask, straight
			header := append([]byte{1, kind, 4, 1, 0, 0, 0, 0}, binary.LittleEndian.AppendUint64(nil, rand.Uint64())...)
			const port = 6793
			return forgedDatagram(netip.AddrPortFrom(from, port), netip.AddrPortFrom(to, port), string(append(header, inner...)))
		}
	}
	stops := []func() uint64{
		f.backplane.forge(t, to, 500, packet(stranger)),
		f.backplane.forge(t, to, 500, packet(peer)),
		f.client.forge(t, to, 500, packet(peer)),
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}
