package fleet

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/steering/clock"
)

// run runs a program over frames, and says how often one of the counters counted.
func (b *bench) run(p *ebpf.Program, which bpf.FleetCounter, frames ...[]byte) (counted uint64) {
	b.t.Helper()
	before := b.counters()
	for _, frame := range frames {
		_, err := p.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)})
		b.check(err)
	}
	return b.counters()[which] - before[which]
}

// TestErrorsCostTheirSender: who sends ICMP errors about conns of a client uses up its own questions, and not those
// of the client: any stranger can send them from its own address.
func TestErrorsCostTheirSender(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, clients := range [][2]string{{"198.51.100.1:2000", "198.51.100.2:2000"}, {"[fd52::1]:2000", "[fd53::1]:2000"}} {
		c := tuple{netip.MustParseAddrPort(clients[0]), netip.MustParseAddrPort("203.0.113.5:80")}
		if c.client.Addr().Is6() {
			c.dst = netip.MustParseAddrPort("[2001:db8::5]:80")
		}
		b.fill(benchModel(b))
		var plane bpf.FleetBackplane
		b.check(b.objects.FleetBackplane.Lookup(uint32(0), &plane))
		plane.SourceSpacing = plane.SourceBurst // one question each
		b.check(b.objects.FleetBackplane.Put(uint32(0), plane))
		v4 := c.client.Addr().Is4()
		unreachable := map[bool]byte{true: 3, false: 1}[v4]
		about := func(c tuple) []byte { return append(ethernet(v4), errorPacket(c, 6, unreachable)...) }
		from := append(ethernet(v4), tcpPacket(c.client, c.dst, 16, nil)...)
		for _, step := range []struct {
			name  string
			frame []byte
			want  bpf.FleetCounter
		}{
			{"an error of a stranger", about(c), bpf.FleetCounterCOUNT_ASKED},
			{"the client itself", from, bpf.FleetCounterCOUNT_ASKED},
			{"the client again", from, bpf.FleetCounterCOUNT_SHED},
			{"an error of the stranger about another client's conn", about(tuple{netip.MustParseAddrPort(clients[1]), c.dst}), bpf.FleetCounterCOUNT_SHED},
		} {
			if b.run(b.objects.AskPeers, step.want, step.frame) != 1 {
				t.Errorf("%v: %s does not count %d", c, step.name, step.want)
			}
		}
	}
}

// TestDeniedAtOnce: a peer that says twice at once that it does not have a conn has said so once, however long ago
// the first question was: the answers to that may be lost.
func TestDeniedAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := benchModel(b)
	m.peers[m.asked[1]] = modelPeer{alive: true, bit: 1}
	m.needed.bits = 3
	b.fill(m)
	c := strangers()[0]
	question := append(ethernet(true), tcpPacket(c.client, c.dst, 16, nil)...)
	var denials [][]byte
	for _, peer := range m.asked {
		said := bodyOf(c)
		denials = append(denials, wrapAs(said[:], bpf.FleetMessageGONE, 0, c, peer, m.local, [6]byte{}, [6]byte{}))
	}
	b.run(b.objects.AskPeers, bpf.FleetCounterCOUNT_ASKED, question)
	age := func() {
		var q bpf.FleetQuestion
		b.check(b.objects.FleetQuestions.Lookup(bodyOf(c), &q))
		q.First = uint64(clock.Monotonic() - 10*time.Second)
		b.check(b.objects.FleetQuestions.Put(bodyOf(c), q))
	}
	age()
	b.run(b.objects.TakeAsked, bpf.FleetCounterCOUNT_ASKED, append(denials, denials...)...)
	if b.run(b.objects.AskPeers, bpf.FleetCounterCOUNT_ASKED, question) != 1 {
		t.Error("what was said twice at once is believed")
	}
	time.Sleep(time.Second)
	b.run(b.objects.TakeAsked, bpf.FleetCounterCOUNT_ASKED, denials...)
	if b.run(b.objects.AskPeers, bpf.FleetCounterCOUNT_DENIED, question) != 1 {
		t.Error("what was said again a second later is not believed")
	}
}
