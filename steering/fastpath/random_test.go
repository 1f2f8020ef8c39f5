package fastpath

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/bpf/fastflow"
	"anyport/steering/clock"
	"anyport/steering/netnstest"
)

// TestAgainstModel: over random packets, most of them nearly of some flow, the program in the kernel
// does what the model says: the verdict, each byte of the frame, and what is counted. ANYPORT_SOAK=1
// makes it a million.
func TestAgainstModel(t *testing.T) {
	since(t, 6, 1, "a test run has no device")
	netnstest.Enter(t)
	rounds := 40
	if os.Getenv("ANYPORT_SOAK") != "" {
		rounds = 2000
	}
	o, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	d := &dice{rand.New(rand.NewPCG(seed, 1))}
	forwarded := 0
	for range rounds {
		m := d.model()
		fill(t, o, m)
		for range 500 {
			if compare(t, o, m, d.arrival(m)) {
				forwarded++
			}
			if t.Failed() {
				return
			}
		}
	}
	if share := forwarded * 100 / (rounds * 500); share < 10 || share > 90 {
		t.Errorf("%d %% of the packets were forwarded: that tests little", share)
	}
}

// fill puts the state of the model into the maps.
func fill(t testing.TB, o *Objects, m *model) {
	t.Helper()
	entries := newTable(o)
	all, err := entries.adopt()
	entries.usesMany = true
	for k := range all {
		entries.remove(k)
	}
	if err == nil {
		err = o.Generation.Put(numberNow, m.generation)
	}
	if err == nil {
		err = o.Generation.Put(numberMany, uint32(min(1, m.inMany)))
	}
	m.sinceBoot = uint64(clock.Boot())
	for i := range m.flows {
		f := &m.flows[i]
		e := entriesOf(f.Flow, f.client, f.origin, f.generation, f.id, f.until)
		tables := []*ebpf.Map{o.Few, o.Few}
		if i < m.inMany {
			tables = []*ebpf.Map{o.Flows, []*ebpf.Map{o.Flows, o.Few}[i%2]}
		}
		if err == nil {
			err = tables[0].Put(&e.forth, &e.toOrigin)
		}
		if err == nil {
			err = tables[1].Put(&e.back, &e.toClient)
		}
		for i, w := range waysOf(f.id) {
			if err == nil {
				err = o.Usage.Put(w, &usage{Id: f.id, Last: uint64(clock.Monotonic()) - f.quiet[i]})
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// compare runs the program over a, and reports whether it was forwarded.
func compare(t *testing.T, o *Objects, m *model, a arrival) bool {
	t.Helper()
	want := m.judge(a)
	before := usages(t, o, m)
	out := make([]byte, len(a.frame)+128)
	run := &ebpf.RunOptions{Data: a.frame, DataOut: out, Context: contextOf(a)}
	began := coarse(t)
	verdict, err := o.Program.Run(run)
	ended := clock.Monotonic()
	if errors.Is(err, unix.EINVAL) && len(a.frame) < 14+40 {
		return false // test runs want a whole IP header
	}
	if err != nil {
		t.Fatalf("%d bytes: %v", len(a.frame), err)
	}
	if verdict != want.verdict || !same(run.DataOut, want.frame) {
		t.Errorf("%x from device %d, train %d (beginnings, lengths):\ngot  %d %x %d\nwant %d %x %d", begin(a.frame), a.device, a.train,
			verdict, begin(run.DataOut), len(run.DataOut), want.verdict, begin(want.frame), len(want.frame))
		return false
	}
	side := map[bool]int{true: 1}[want.toClient]
	for w, u := range usages(t, o, m) {
		expected := before[w]
		if want.flow != nil && waysOf(want.flow.id)[side] == w {
			expected.Packets++
			if a.train > 0 {
				expected.Packets += trainSegments - 1
			}
			expected.Bytes += uint64(want.payload)
			if !keptAlive(expected.Last, u.Last, want.flow.Idle, began, ended) {
				t.Errorf("the last datagram was at %d, and after one between %v and %v it was at %d", expected.Last, began, ended, u.Last)
			}
			expected.Last, want.flow.quiet[side] = u.Last, uint64(ended)-u.Last
		}
		if u != expected {
			t.Errorf("%x: counted %+v, want %+v", a.frame, u, expected)
		}
	}
	return verdict == redirect
}

// keptAlive reports whether a datagram between two moments may have had the program change the time of the
// last one so. The program notes at most one a second, or eight in an idle time, by a clock that may be a
// tick late.
func keptAlive(before, after uint64, idle, began, ended time.Duration) bool {
	step, last := min(time.Second, idle/8), time.Duration(before)
	if before == after {
		return began-last < step
	}
	return ended-last >= step && time.Duration(after) >= began && time.Duration(after) <= ended
}

// coarse is not later than what bpf_ktime_get_coarse_ns returns: that is up to a tick behind clock.Monotonic,
// and more where ticks come late, as in an emulator.
func coarse(t *testing.T) time.Duration {
	t.Helper()
	now := clock.Monotonic()
	var rough, fine unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_MONOTONIC_COARSE, &rough), unix.ClockGettime(unix.CLOCK_MONOTONIC, &fine)); err != nil {
		t.Fatal(err)
	}
	return now - time.Duration(fine.Nano()-rough.Nano())
}

// same is equality, except that a checksum of 0 may be written as 0xffff: both are 0 in ones' complement.
func same(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	return bytes.Equal(normal(a), normal(b))
}

func begin(frame []byte) []byte { return frame[:min(len(frame), 128)] }

func normal(frame []byte) []byte {
	frame = bytes.Clone(frame)
	if len(frame) >= 34 && frame[12] == 8 && frame[24] == 0xff && frame[25] == 0xff {
		frame[24], frame[25] = 0, 0
	}
	return frame
}

// waysOf is where the two ways of a flow are counted: to the origin, to the client.
func waysOf(id uint64) [2]uint32 {
	place := uint32(id % maxFlows)
	return [2]uint32{place, maxFlows + place}
}

func usages(t *testing.T, o *Objects, m *model) map[uint32]usage {
	t.Helper()
	all := map[uint32]usage{}
	for _, f := range m.flows {
		for _, w := range waysOf(f.id) {
			var u usage
			if err := o.Usage.Lookup(w, &u); err != nil {
				t.Fatal(err)
			}
			all[w] = u
		}
	}
	return all
}

const trainSegments = 3

// contextOf is a struct __sk_buff of linux/bpf.h.
func contextOf(a arrival) []byte {
	const ingressIfindex, ifindex, gsoSegs, gsoSize, size = 36, 40, 164, 176, 192
	c := make([]byte, size)
	binary.NativeEndian.PutUint32(c[ingressIfindex:], uint32(a.device))
	binary.NativeEndian.PutUint32(c[ifindex:], 1)
	if a.train > 0 {
		binary.NativeEndian.PutUint32(c[gsoSegs:], trainSegments)
		binary.NativeEndian.PutUint32(c[gsoSize:], uint32(a.train))
	}
	return c
}

// dice throws tables and packets.
type dice struct{ *rand.Rand }

func (d *dice) one(n int) bool { return d.IntN(n) == 0 }

func (d *dice) addr(v4 bool) netip.Addr {
	if v4 {
		return netip.AddrFrom4([4]byte{10, 0, byte(d.IntN(2)), byte(d.IntN(3))})
	}
	return netip.AddrFrom16([16]byte{0xfd, 15: byte(d.IntN(4))})
}

func (d *dice) end(v4 bool) netip.AddrPort {
	return netip.AddrPortFrom(d.addr(v4), uint16(1+d.IntN(3)))
}

// model is a table of flows that have their keys for themselves, as user space has them.
func (d *dice) model() *model {
	m := &model{generation: 1 + d.Uint32N(3)}
	used := map[key]bool{}
	for id := range uint64(8) {
		v4 := d.one(2)
		f := modelFlow{id: 100 + id, generation: m.generation, client: way{2 + d.IntN(2), 1500}, origin: way{2 + d.IntN(2), 1500}}
		f.Client, f.Dst, f.Source, f.Origin = d.end(v4), d.end(v4), d.end(v4), d.end(v4)
		f.Header, f.Idle = fastflow.Header(d.IntN(3)), time.Minute
		f.SharesSource = f.Header == fastflow.SPP && d.one(2)
		forth, back := keyOf(f.Client, f.Dst), keyOf(f.Origin, f.Source)
		if used[forth] || used[back] || forth == back {
			continue
		}
		used[forth], used[back] = true, true
		m.flows = append(m.flows, d.vary(f))
		if twin := f; f.SharesSource {
			twin.Client, twin.id = d.end(v4), 200+id
			if forth := keyOf(twin.Client, twin.Dst); !used[forth] {
				used[forth] = true
				m.flows = append(m.flows, twin)
			}
		}
	}
	m.inMany = d.IntN(1 + len(m.flows))
	return m
}

// vary makes a flow one that is not in force, or short of room.
func (d *dice) vary(f modelFlow) modelFlow {
	switch d.IntN(12) {
	case 0:
		f.generation++
	case 1:
		f.until = 1
	case 2:
		f.until = uint64(clock.Boot() + time.Hour)
	case 3:
		f.quiet = [2]uint64{uint64(70 * time.Second), uint64(80 * time.Second)}
	case 4, 5:
		for i := range f.quiet {
			f.quiet[i] = uint64(5*time.Second + 10*time.Second*time.Duration(d.IntN(10)))
		}
	case 6:
		f.origin.mtu = uint16(68 + d.IntN(100))
	case 7:
		f.client.mtu = uint16(68 + d.IntN(100))
	}
	return f
}

// arrival is a packet of some flow, mostly damaged in some way.
func (d *dice) arrival(m *model) arrival {
	var f modelFlow
	if len(m.flows) > 0 {
		f = m.flows[d.IntN(len(m.flows))]
	} else {
		f.Client, f.Dst, f.Source, f.Origin = d.end(true), d.end(true), d.end(true), d.end(true)
	}
	a := arrival{device: f.client.device}
	src, dst, payload := f.Client, f.Dst, d.payload()
	if d.one(2) {
		a.device = f.origin.device
		src, dst = f.Origin, f.Source
		if f.Header == fastflow.SPP && !d.one(6) || d.one(20) {
			named := f.Flow
			if d.one(8) {
				named = m.flows[d.IntN(len(m.flows))].Flow
			}
			payload = append(headerOf(named), payload...)
		}
	}
	if d.one(12) {
		a.device = 1 + d.IntN(4)
	}
	if d.one(30) {
		dst = d.end(dst.Addr().Is4())
	}
	if d.one(12) {
		a.train = 1 + len(payload)/trainSegments
	}
	a.frame = frameOf(src, dst, payload, byte(d.IntN(4)*85), d.one(5))
	d.damage(&a)
	return a
}

func (d *dice) payload() []byte {
	size := d.IntN(120)
	if d.one(4) {
		size = 1350 + d.IntN(140) // about what fits
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(d.Uint32())
	}
	return b
}

// damage makes half of all packets something that should be passed up, or that only looks so.
func (d *dice) damage(a *arrival) {
	frame := a.frame
	at := func(i int) *byte { return &frame[min(i, len(frame)-1)] }
	switch d.IntN(24) {
	case 0: // version, header length
		*at(14) = byte(d.Uint32())
	case 1: // lengths
		*at([]int{16, 17, 18, 19, 38, 39, 58, 59}[d.IntN(8)]) += byte(d.IntN(3))
	case 2: // fragments, ID
		*at(18 + d.IntN(4)) = byte(1 << d.IntN(8))
	case 3: // protocol, next header, TTL
		*at([]int{20, 21, 22, 23}[d.IntN(4)]) = byte(d.IntN(20))
	case 4: // anything in the headers
		*at(d.IntN(62)) = byte(d.Uint32())
	case 5: // cut off
		a.frame = frame[:14+d.IntN(len(frame)-13)]
	case 6: // padded
		a.frame = append(frame, make([]byte, d.IntN(40))...)
	case 7: // a checksum of 0
		udp := 34
		if frame[12] == 0x86 {
			udp = 54
		}
		*at(udp + 6), *at(udp + 7) = 0, 0
	case 8: // for another host
		*at(d.IntN(6)) = 1
	case 9: // of another kind
		*at(12 + d.IntN(2)) = byte(d.Uint32())
	case 10: // a port
		*at([]int{34, 35, 36, 37, 54, 55, 56, 57}[d.IntN(8)]) = 0
	case 11: // a wrong checksum
		*at([]int{24, 40, 60}[d.IntN(3)]) ^= 1
	}
}

// frameOf is a whole Ethernet frame for lo, with valid checksums; without one over IPv4 if unchecked.
func frameOf(src, dst netip.AddrPort, payload []byte, ttl byte, unchecked bool) []byte {
	frame := make([]byte, 14, 128+len(payload))
	headers, ip := 28, []byte(nil)
	if src.Addr().Is4() {
		binary.BigEndian.PutUint16(frame[12:], 0x0800)
		ip = append([]byte{0x45, 3, 0, 0, 1, 2, 0x40, 0, ttl, 17, 0, 0}, src.Addr().AsSlice()...)
		ip = append(ip, dst.Addr().AsSlice()...)
		binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
		binary.BigEndian.PutUint16(ip[10:], ^onesComplement(ip))
	} else {
		headers = 48
		binary.BigEndian.PutUint16(frame[12:], 0x86dd)
		ip = append([]byte{0x60, 1, 2, 3, 0, 0, 17, ttl}, src.Addr().AsSlice()...)
		ip = append(ip, dst.Addr().AsSlice()...)
		binary.BigEndian.PutUint16(ip[4:], uint16(8+len(payload)))
	}
	udp := binary.BigEndian.AppendUint16(nil, src.Port())
	udp = binary.BigEndian.AppendUint16(udp, dst.Port())
	udp = binary.BigEndian.AppendUint16(udp, uint16(8+len(payload)))
	ip = append(append(append(ip, udp...), 0, 0), payload...)
	if headers == 48 || !unchecked {
		sum := ^onesComplement(covered(ip, headers))
		if sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(ip[headers-2:], sum)
	}
	return append(frame, ip...)
}
