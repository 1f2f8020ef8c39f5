package fleet

import (
	"net/netip"
	"testing"
	"time"

	"anyport/bpf"
)

// TestSipHash has vectors of the reference implementation (vectors_sip64 in its vectors.h): the messages
// 0, 1, 2 … of 0 and 8 bytes.
func TestSipHash(t *testing.T) {
	var key [16]byte
	for i := range key {
		key[i] = byte(i)
	}
	for message, want := range map[string]uint64{"": 0x726fdb47dd0e0e31, "\x00\x01\x02\x03\x04\x05\x06\x07": 0x93f5f5799a932462} {
		if got := sipHash(key, []byte(message)); got != want {
			t.Errorf("%d bytes: %#x, want %#x", len(message), got, want)
		}
	}
}

// TestMessages: a message is read as it was written, and only with the key, from the sender, and whole.
func TestMessages(t *testing.T) {
	from, now := netip.MustParseAddr("10.9.0.2"), time.Now().Round(0)
	g := greeting{clock: now, heard: now.Add(-time.Hour), held: time.Second, mtu: 1600, moved: time.Minute}
	b := encode(bpf.FleetMessageHELLO, g.encode(), from, key)
	kind, said, ok := decode(b, from, key)
	if got := decodeGreeting(said); !ok || kind != bpf.FleetMessageHELLO || !got.clock.Equal(g.clock) || !got.heard.Equal(g.heard) || got.held != g.held || got.mtu != g.mtu || got.moved != g.moved {
		t.Errorf("%v %v %+v, want %+v", ok, kind, got, g)
	}
	if old := decodeGreeting(body{}); old.moved != 0 {
		t.Errorf("a build before drains were told of: %+v", old)
	}
	for i := range 8 {
		said[28+i] = 0xff
	}
	if wrong := decodeGreeting(said); wrong.moved != 0 {
		t.Errorf("too long ago for a clock: %+v", wrong)
	}
	if _, _, ok := decode(b, from.Next(), key); ok {
		t.Error("another host has sent it")
	}
	if _, _, ok := decode(b, from, [16]byte{7}); ok {
		t.Error("another key has signed it")
	}
	for i := range b {
		damaged := append([]byte(nil), b...)
		damaged[i] ^= 1
		if _, _, ok := decode(damaged, from, key); ok {
			t.Errorf("byte %d is not signed", i)
		}
	}
	if _, _, ok := decode(b[:len(b)-1], from, key); ok {
		t.Error("it is not whole")
	}
}

// TestMembersMove: a host that begins or ends to drain has its peers take that for a change of the members, at the
// instant when it did, however often it is told and whenever they hear of it.
func TestMembersMove(t *testing.T) {
	peer, now := netip.MustParseAddr("10.9.0.2"), time.Now()
	var here, there members
	here.set([]netip.Addr{peer}, now)
	there.set([]netip.Addr{peer}, now)
	told := func() { there.hello(peer, here.greeting(peer, 1500, now), now.Add(time.Millisecond)) }
	told()
	came := there.changed
	now = now.Add(time.Hour)
	told()
	if !there.changed.Equal(came) {
		t.Errorf("nobody drains, and the members change at %v", there.changed)
	}
	for range 2 {
		now = now.Add(time.Hour)
		here.move(now)
		moved := now
		for range 3 { // the first greetings may be lost
			now = now.Add(time.Minute)
			told()
			if late := there.changed.Sub(moved); !here.changed.Equal(moved) || late < 0 || late > sameGreeted {
				t.Errorf("changed %v after the drain, here at %v", late, here.changed)
			}
		}
	}
	there.bye(peer, greeting{clock: now.Add(time.Second)}, now)
	gone := now
	told()
	if there.changed.Before(gone) {
		t.Errorf("an earlier drain hides that the peer has gone: %v", there.changed)
	}
}

// TestMembersRemember: another process, whose clock of the day may be another one, goes on with the same instant.
func TestMembersRemember(t *testing.T) {
	now, mono := time.Now(), 1000*time.Second
	var before, after members
	after.remember(before.changedAt(now, mono), now, mono)
	if !after.changed.IsZero() {
		t.Errorf("it never changed, and did at %v", after.changed)
	}
	before.move(now)
	told := before.changedAt(now.Add(time.Minute), mono+time.Minute)
	later := now.Add(2*time.Minute + time.Hour) // the clock was set
	after.remember(told, later, mono+2*time.Minute)
	if got := later.Sub(after.changed); got != 2*time.Minute {
		t.Errorf("changed %v ago, want 2m", got)
	}
	for _, wrong := range []time.Duration{-1, mono + time.Hour} {
		var m members
		if m.remember(wrong, now, mono); !m.changed.IsZero() {
			t.Errorf("%v: %v", wrong, m.changed)
		}
	}
}

// TestMembers walks through the life of a peer.
func TestMembers(t *testing.T) {
	peer, now := netip.MustParseAddr("10.9.0.2"), time.Now()
	var m members
	m.set([]netip.Addr{peer, peer.Next()}, now)
	m.all[peer].way = way{[6]byte{2}}
	step := func(what string, changed, alive bool) {
		t.Helper()
		if m.isAsked(peer) != alive || m.changed.Equal(now) != changed {
			t.Errorf("%s: %+v, %v", what, *m.all[peer], m.changed)
		}
	}
	step("at first", false, false)
	if !m.hello(peer, greeting{clock: now.Add(time.Minute)}, now) {
		t.Error("the first greeting gets no answer")
	}
	step("heard", true, true)
	now = now.Add(time.Second)
	if m.hello(peer, greeting{clock: now.Add(time.Minute), heard: now.Add(-300 * time.Millisecond), held: 200 * time.Millisecond, mtu: 1400}, now) {
		t.Error("who knows each other need not answer")
	}
	step("heard again", false, true)
	if p := m.all[peer]; p.rtt != 100*time.Millisecond || p.ahead != time.Minute+50*time.Millisecond || p.mtu != 1400 {
		t.Errorf("%+v", *p)
	}
	if m.bye(peer, greeting{clock: now}, now) {
		t.Error("a bye that was sent again counts")
	}
	if m.bye(peer, greeting{clock: now.Add(2 * time.Minute)}, now); !m.changed.Equal(now) || m.isAsked(peer) {
		t.Error("a bye does not count")
	}
	m.hello(peer, greeting{clock: now.Add(3 * time.Minute)}, now)
	now = now.Add(aliveFor)
	if m.expire(now) {
		t.Error("it was heard not long ago")
	}
	now = now.Add(1)
	if !m.expire(now) {
		t.Error("it was not heard for long")
	}
	step("expired", true, false)
	m.adopt(peer, way{[6]byte{2}}, now)
	step("adopted", true, true)
	m.all[peer].off = "no way now"
	step("with a former way", true, true)
	m.all[peer].way = way{}
	step("without a way", true, false)
	now = now.Add(1)
	m.set(nil, now)
	if len(m.status()) != 0 || !m.changed.Equal(now) {
		t.Errorf("%+v", m)
	}
}
