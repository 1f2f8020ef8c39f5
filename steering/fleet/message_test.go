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
	g := greeting{clock: now, heard: now.Add(-time.Hour), held: time.Second, mtu: 1600}
	b := encode(bpf.FleetMessageHELLO, g.encode(), from, key)
	kind, said, ok := decode(b, from, key)
	if got := decodeGreeting(said); !ok || kind != bpf.FleetMessageHELLO || !got.clock.Equal(g.clock) || !got.heard.Equal(g.heard) || got.held != g.held || got.mtu != g.mtu {
		t.Errorf("%v %v %+v, want %+v", ok, kind, got, g)
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

// TestMembers walks through the life of a peer.
func TestMembers(t *testing.T) {
	peer, now := netip.MustParseAddr("10.9.0.2"), time.Now()
	var m members
	m.set([]netip.Addr{peer, peer.Next()}, now)
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
	m.adopt(peer, way{}, now)
	step("adopted", true, true)
	m.all[peer].off = "no way"
	step("without a way", true, false)
	now = now.Add(1)
	m.set(nil, now)
	if len(m.status()) != 0 || !m.changed.Equal(now) {
		t.Errorf("%+v", m)
	}
}
