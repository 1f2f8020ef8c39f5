package fleet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/steering/bpfmaps"
	"anyport/steering/clock"
	"anyport/steering/netnstest"
)

// bench has the programs in a namespace with real conns, and a device whose packets can be read.
//
//	lo: conns of clients 198.51.100.1 and fd51::1 to the two served prefixes     back -- far: the backplane
type bench struct {
	t       testing.TB
	objects bpf.FleetObjects
	events  *ringbuf.Reader
	device  *net.Interface
	wire    int // a packet socket at the far end of the backplane
	here    []tuple
}

func newBench(t testing.TB) *bench {
	t.Helper()
	netnstest.InNamespace(t)
	b := &bench{t: t}
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.MTU = "back", 2000 // more than the model's
	b.check(netlink.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "far", PeerMTU: 2000}))
	for _, file := range []string{"back", "far"} { // nothing but the program's packets
		b.check(os.WriteFile("/proc/sys/net/ipv6/conf/"+file+"/disable_ipv6", []byte("1"), 0o644))
	}
	b.check(setUp("back"))
	b.check(setUp("far"))
	var err error
	b.device, err = net.InterfaceByName("back")
	b.check(err)
	served := newServed(t)
	spec, err := bpf.LoadFleet()
	b.check(err)
	b.check(spec.LoadAndAssign(&b.objects, &ebpf.CollectionOptions{MapReplacements: served.byName()}))
	t.Cleanup(func() { b.objects.Close() })
	b.events, err = ringbuf.NewReader(b.objects.FleetEvents)
	b.check(err)
	t.Cleanup(func() { b.events.Close() })
	b.openWire()
	b.openConns()
	return b
}

func (b *bench) check(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) openWire() {
	b.t.Helper()
	far, err := net.InterfaceByName("far")
	b.check(err)
	all := uint16(unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8)
	b.wire, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
	b.check(err)
	b.t.Cleanup(func() { unix.Close(b.wire) })
	b.check(unix.Bind(b.wire, &unix.SockaddrLinklayer{Protocol: all, Ifindex: far.Index}))
	b.check(unix.SetsockoptTimeval(b.wire, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20}))
}

// openConns opens conns that stay, and listeners.
func (b *bench) openConns() {
	b.t.Helper()
	lo, err := netlink.LinkByName("lo")
	b.check(err)
	for _, p := range []string{served4.String(), served6.String(), "198.51.100.0/24", "fd51::/64", "192.0.2.0/24"} {
		_, to, _ := net.ParseCIDR(p)
		b.check(netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: to, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL, Scope: unix.RT_SCOPE_HOST}))
	}
	for _, at := range []struct{ client, dst string }{{"198.51.100.1:%d", "203.0.113.5:80"}, {"[fd51::1]:%d", "[2001:db8::5]:80"}, {"198.51.100.2:%d", "192.0.2.1:80"}} {
		l, err := anywhere.Listen(b.t.Context(), "tcp", at.dst)
		b.check(err)
		b.t.Cleanup(func() { l.Close() })
		for n := range 4 {
			client := netip.MustParseAddrPort(fmt.Sprintf(at.client, 1000+n))
			d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(client), Control: anywhere.Control}
			c, err := d.Dial("tcp", at.dst)
			b.check(err)
			b.t.Cleanup(func() { c.Close() })
			b.here = append(b.here, tuple{client, netip.MustParseAddrPort(at.dst)})
		}
	}
}

// TestAgainstModel: over random packets the programs in the kernel do what the model says: the verdict,
// each byte that goes to the peers or to the stack, what is counted, and what user space is told.
// ANYPORT_SOAK=1 makes it a million packets.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rounds := 100
	if os.Getenv("ANYPORT_SOAK") != "" {
		rounds = 5000
	}
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	d := &dice{rand.New(rand.NewPCG(seed, 1))}
	met := map[bpf.FleetCounter]int{}
	for range rounds {
		m := d.model(b)
		b.fill(m)
		for range 200 {
			b.ask(m, func(q question) bool { return q.just }) // this may have taken long
			if d.one(2) {
				frame, train := d.asking(m)
				b.compare(b.objects.AskPeers, frame, train, m.ask(frame, train), met)
			} else {
				frame := d.wrapped(m)
				b.compare(b.objects.TakeAsked, frame, 0, m.take(frame), met)
			}
			if t.Failed() {
				return
			}
		}
	}
	for which := range bpf.FleetCounterCOUNTERS {
		if met[which] == 0 && which != bpf.FleetCounterCOUNT_UNSENT && which != bpf.FleetCounterCOUNT_UNTOLD {
			t.Errorf("no packet counted %d: that tests little", which)
		}
	}
}

// fill puts the state of the model into the maps.
func (b *bench) fill(m *model) {
	b.t.Helper()
	b.check(bpfmaps.RemoveIf(b.objects.FleetPeers, func([4]uint32, bpf.FleetPeer) bool { return true }))
	b.check(bpfmaps.RemoveIf(b.objects.FleetLearnt, func(body, [4]uint32) bool { return true }))
	b.check(bpfmaps.RemoveIf(b.objects.FleetQuestions, func(body, bpf.FleetQuestion) bool { return true }))
	b.check(bpfmaps.RemoveIf(b.objects.FleetFlows, func(body, uint32) bool { return true }))
	b.check(bpfmaps.RemoveIf(b.objects.FleetMoved, func(body, bpf.FleetMoved) bool { return true }))
	for a, p := range m.peers {
		b.check(b.objects.FleetPeers.Put(bpfmaps.AddrWords(a), bpf.FleetPeer{Addr: bpfmaps.AddrWords(a), Mac: p.mac, Alive: p.standing(), Bit: p.bit}))
	}
	for i, a := range m.asked {
		b.check(b.objects.FleetAsked.Put(uint32(i), bpf.FleetPeer{Addr: bpfmaps.AddrWords(a), Mac: m.peers[a].mac, Alive: 1}))
	}
	for c, a := range m.learnt {
		b.check(b.objects.FleetLearnt.Put(bodyOf(c), bpfmaps.AddrWords(a)))
	}
	now := uint64(clock.Monotonic())
	for c := range m.flows {
		b.check(b.objects.FleetFlows.Put(bodyOf(c), uint32(1)))
	}
	for c, to := range m.moved {
		idle := longPatience
		if to.stale {
			idle = 1
		}
		b.check(b.objects.FleetMoved.Put(bodyOf(c), bpf.FleetMoved{Peer: bpfmaps.AddrWords(to.peer), Last: now - 1000, Idle: idle}))
	}
	b.ask(m, func(question) bool { return true })
	n := bpf.FleetNeeded{Bits: m.needed.bits, Until: now + longPatience}
	if m.needed.over {
		n.Until = now
	}
	if m.needed.others {
		n.Since = 1<<64 - 1
	}
	b.check(b.objects.FleetNeeded.Put(uint32(0), n))
	plane := bpf.FleetBackplane{
		Key: keyWords(key), Also: keyWords(alsoKey),
		Local: bpfmaps.AddrWords(m.local), V6: bpfmaps.Flag(m.local.Is6()), Device: uint32(b.device.Index), Mtu: uint32(m.mtu),
		Mac: m.mac, Asked: uint32(len(m.asked)), Patience: longPatience, Burst: 1 << 40, SourceBurst: 1 << 40,
	}
	if m.shed {
		plane.Spacing = 1 << 41
	}
	b.check(b.objects.FleetBackplane.Put(uint32(0), plane))
}

// longPatience is that of the program.
const longPatience = uint64(time.Hour)

// ask puts some questions of the model into the map.
func (b *bench) ask(m *model, some func(question) bool) {
	b.t.Helper()
	now := uint64(clock.Monotonic())
	ages := map[age]uint64{young: uint64(time.Second), old: 2 * longPatience, ofAnother: 9 * longPatience}
	for c, q := range m.questions {
		said := now - uint64(time.Second)
		if q.just {
			said = now
		}
		if some(q) {
			b.check(b.objects.FleetQuestions.Put(bodyOf(c), bpf.FleetQuestion{
				First: now - ages[q.age], Times: q.times, Denied: q.denied, Said: said, DeniedAgain: q.deniedAgain, Acknowledged: q.acknowledged,
			}))
		}
	}
}

func (p modelPeer) standing() uint8 {
	if p.alive && p.quiet {
		return quiet
	}
	return uint8(bpfmaps.Flag(p.alive))
}

// compare runs a program over a frame.
func (b *bench) compare(program *ebpf.Program, frame []byte, train int, want outcome, met map[bpf.FleetCounter]int) {
	b.t.Helper()
	before := b.counters()
	out := make([]byte, len(frame)+256)
	run := &ebpf.RunOptions{Data: frame, DataOut: out, Context: contextOf(train)}
	verdict, err := program.Run(run)
	if errors.Is(err, unix.EINVAL) && len(frame) < 14+40 {
		return // test runs want a whole IP header
	}
	b.check(err)
	if verdict != want.verdict || want.frame != nil && !bytes.Equal(run.DataOut, want.frame) {
		b.t.Errorf("%x, train %d: verdict %d, want %d\ngot  %x\nwant %x", begin(frame), train, verdict, want.verdict, begin(run.DataOut), begin(want.frame))
		return
	}
	for _, sent := range want.sent {
		buffer := make([]byte, 1<<12)
		n, _, err := unix.Recvfrom(b.wire, buffer, 0)
		if err != nil || !bytes.Equal(buffer[:n], sent) {
			b.t.Errorf("%x: to the peers %v\ngot  %x\nwant %x", begin(frame), err, begin(buffer[:n]), begin(sent))
			return
		}
	}
	if n, _, err := unix.Recvfrom(b.wire, make([]byte, 1<<12), unix.MSG_DONTWAIT); err == nil {
		b.t.Errorf("%x: %d bytes more to the peers", begin(frame), n)
	}
	after := b.counters()
	if met[want.counter]++; want.counter != noCounter {
		before[want.counter]++
	}
	if after != before {
		b.t.Errorf("%x: counted %v, want %v", begin(frame), after, before)
	}
	b.compareEvent(frame, want)
}

func begin(frame []byte) []byte { return frame[:min(len(frame), 128)] }

func (b *bench) compareEvent(frame []byte, want outcome) {
	b.t.Helper()
	b.events.SetDeadline(time.Unix(1, 0)) // do not wait
	r, err := b.events.Read()
	if want.event == 0 {
		if err == nil {
			b.t.Errorf("%x: an event: %x", frame, r.RawSample)
		}
		return
	}
	b.check(err)
	kind, peer, conn, ok := decodeEvent(r.RawSample)
	at := 14 + 20 + 24
	from := netip.Addr{}
	if frame[12] == 0x08 {
		from = addr4(frame[26:30])
	} else {
		at, from = 14+40+24, addr6(frame[22:38])
	}
	p, _ := parse(frame[at:], frame[at-14] == 4)
	_ = b.objects.FleetAnswers.Delete(conn) // the next question gets an answer at once
	if !ok || kind != want.event || peer != from || conn != bodyOf(p.conn) {
		b.t.Errorf("%x: event %d to %s, want %d to %s", frame, kind, peer, want.event, from)
	}
}

func (b *bench) counters() (all [bpf.FleetCounterCOUNTERS]uint64) {
	for i := range all {
		var each []uint64
		b.check(b.objects.FleetCounters.Lookup(uint32(i), &each))
		for _, n := range each {
			all[i] += n
		}
	}
	return all
}

// contextOf is a struct __sk_buff of linux/bpf.h.
func contextOf(train int) []byte {
	const gsoSegs, gsoSize, size = 164, 176, 192
	c := make([]byte, size)
	if train > 0 {
		binary.NativeEndian.PutUint32(c[gsoSegs:], 3)
		binary.NativeEndian.PutUint32(c[gsoSize:], uint32(train))
	}
	return c
}
