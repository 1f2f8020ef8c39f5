package fleet

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/steering/netnstest"
)

// udpFlow is a flow of the client whose first host is an edge: that listens at dst itself.
type udpFlow struct {
	client      *net.UDPConn
	edge        *net.UDPConn
	source, dst netip.AddrPort
}

func (r *rig) openFlow(n int, at string) *udpFlow {
	r.t.Helper()
	f := &udpFlow{dst: netip.MustParseAddrPort(at)}
	netnstest.In(r.t, r.edges[n].ns, func() error {
		c, err := anywhere.ListenPacket(r.t.(*testing.T).Context(), "udp", at)
		if err == nil {
			f.edge = c.(*net.UDPConn)
		}
		return err
	})
	r.t.Cleanup(func() { f.edge.Close() })
	if err := setUDP(f.edge, unix.UDP_GRO, 1); err != nil { // as the listeners of the proxy
		r.t.Fatal(err)
	}
	netnstest.In(r.t, r.client, func() (err error) {
		f.client, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(f.dst))
		return err
	})
	r.t.Cleanup(func() { f.client.Close() })
	local := f.client.LocalAddr().(*net.UDPAddr).AddrPort()
	f.source = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	return f
}

// expect reads a datagram at the edge.
func (f *udpFlow) expect(t *testing.T, want string) {
	t.Helper()
	b := make([]byte, 1<<16)
	f.edge.SetReadDeadline(time.Now().Add(soon))
	n, from, err := f.edge.ReadFromUDPAddrPort(b)
	if err != nil || string(b[:n]) != want || netip.AddrPortFrom(from.Addr().Unmap(), from.Port()) != f.source {
		t.Fatalf("%d bytes of %s, %v, want %d of %s", n, from, err, len(want), f.source)
	}
}

// seek asks an edge, and waits for the answer.
func (f *udpFlow) seek(t *testing.T, e *edge) (found bool) {
	t.Helper()
	answered := make(chan bool)
	asked, found := e.fleet.Seek(f.source, f.dst, time.Minute, true, func() { close(answered) })
	if found || !asked {
		t.Fatalf("asked %v, found %v", asked, found)
	}
	select {
	case <-answered:
	case <-time.After(soon):
		t.Fatal("no answer")
	}
	return e.fleet.Found(f.source, f.dst)
}

// TestFlows: of a flow that a peer has, the datagrams reach it: those that have waited for the answer, and later
// ones, trains among them. When it has ended the peer says so.
func TestFlows(t *testing.T) {
	t.Parallel()
	for name, six := range map[string]bool{"backplane IPv4": false, "backplane IPv6": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 3)
			r.join(six)
			r.route(1)
			owner, asker := r.edges[0], r.edges[1]
			for _, at := range []string{"203.0.113.5:4433", "[2001:db8::5]:4433"} {
				f := r.openFlow(0, at)
				if f.seek(t, asker) {
					t.Fatal("a flow is found that nobody has")
				}
				owner.fleet.Show(f.source, f.dst)
				if !f.seek(t, asker) {
					t.Fatal("the flow is not found")
				}
				for _, payload := range []string{"", "odd", "even", string(make([]byte, 1300))} {
					asker.fleet.Send(f.source, f.dst, 0x2c, []byte(payload))
					f.expect(t, payload)
				}
				if _, found := asker.fleet.Seek(f.source, f.dst, time.Minute, false, nil); !found {
					t.Error("it is not known any more who has the flow")
				}
				f.client.Write([]byte("straight"))
				f.expect(t, "straight")
				f.sendTrain(t, "one two thr")
				f.expect(t, "one two thr")
				owner.fleet.Hide(f.source, f.dst)
				before := asker.fleet.Status().Counts.Gone
				r.eventually("the owner says that it has ended", func() bool {
					f.client.Write([]byte("?"))
					return asker.fleet.Status().Counts.Gone > before
				})
				if f.seek(t, asker) {
					t.Error("a flow is found that has ended")
				}
			}
			if c := asker.fleet.Status().Counts; c.Lost != 0 || c.Forged != 0 || c.Sought != 6 {
				t.Errorf("%+v", c)
			}
			if c := owner.fleet.Status().Counts; c.Forged != 0 || c.Told != 2 {
				t.Errorf("%+v", c)
			}
		})
	}
}

// sendTrain sends datagrams of four bytes as one message.
func (f *udpFlow) sendTrain(t *testing.T, payload string) {
	t.Helper()
	if err := setUDP(f.client, unix.UDP_SEGMENT, 4); err != nil {
		t.Fatal(err)
	}
	f.client.Write([]byte(payload))
	if err := setUDP(f.client, unix.UDP_SEGMENT, 0); err != nil {
		t.Fatal(err)
	}
}

func setUDP(c *net.UDPConn, option, value int) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	control := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, option, value) })
	return errors.Join(control, err)
}

// TestSeeking: which datagrams are asked about.
func TestSeeking(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	client, dst := netip.MustParseAddrPort("198.51.100.1:1000"), netip.MustParseAddrPort("203.0.113.5:53")
	asker := r.edges[1].fleet
	if asked, found := asker.Seek(client, dst, time.Hour, true, nil); asked || found {
		t.Error("asked without peers")
	}
	r.join(false)
	for _, test := range []struct {
		name    string
		idle    time.Duration
		lasting bool
		asked   bool
	}{
		{"soon after a peer came", time.Hour, false, true},
		{"long after it", 1, false, false},
		{"like QUIC", 1, true, true},
	} {
		if asked, found := asker.Seek(client, dst, test.idle, test.lasting, func() {}); asked != test.asked || found {
			t.Errorf("%s: asked %v, found %v", test.name, asked, found)
		}
		if asker.Found(client, dst) {
			t.Errorf("%s: found", test.name)
		}
	}
	r.edges[0].fleet.Show(client, dst)
	r.eventually("the flow is found, long after a peer came, and idle for long", func() bool {
		found := make(chan bool, 1)
		asker.Seek(client, dst, 1, true, func() { found <- true })
		select {
		case <-found:
		case <-time.After(soon):
		}
		return asker.Found(client, dst)
	})
	if asked, found := asker.Seek(client, dst, 1, false, func() {}); !asked || found {
		t.Errorf("a flow that a peer had: asked %v, found %v", asked, found)
	}
	asker.Found(client, dst)
	if err := r.edges[0].fleet.Close(); err != nil {
		t.Fatal(err)
	}
	r.eventually("the peer has left", func() bool {
		asked, found := asker.Seek(client, dst, time.Hour, true, func() {})
		asker.Found(client, dst)
		return !asked && !found
	})
}

// TestAnswers: an answer counts once, from who was asked, and while somebody waits.
func TestAnswers(t *testing.T) {
	var s seeking
	a, b := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.9.0.2")
	conn, answered, learnt := body{1}, 0, 0
	learn := func(time.Duration) error { learnt++; return nil }
	ask := func() {
		answered, learnt = 0, 0
		s.begin(conn, a, &flowQuestion{left: []netip.Addr{a, b}, answered: func() { answered++ }}, 0)
	}
	expect := func(what string, wantAnswered, wantLearnt int, found bool) {
		t.Helper()
		if got := s.end(conn); answered != wantAnswered || learnt != wantLearnt || got != found {
			t.Errorf("%s: answered %d times, learnt %d, found %v", what, answered, learnt, got)
		}
	}
	ask()
	s.lack(conn, a)
	s.lack(conn, a)
	expect("one lacks it", 0, 0, false)
	ask()
	s.lack(conn, a)
	s.lack(conn, b)
	s.lack(conn, b)
	expect("both lack it", 1, 0, false)
	ask()
	s.lack(conn, a)
	s.have(conn, learn)
	s.have(conn, learn)
	s.lack(conn, b)
	expect("one has it", 1, 1, true)
	ask()
	s.end(conn)
	s.have(conn, learn)
	s.lack(conn, a)
	expect("nobody waits any more", 0, 0, false)
}

// TestBuckets: one client gets its burst and then its rate, and leaves something to others.
func TestBuckets(t *testing.T) {
	var b buckets
	count := func(client string, now time.Duration) (n int) {
		for b.take(netip.MustParseAddr(client), now) {
			n++
		}
		return n
	}
	now := time.Hour
	if n := count("192.0.2.1", now); n != sourceQuestionsBurst {
		t.Errorf("%d questions at once, want %d", n, sourceQuestionsBurst)
	}
	if n := count("192.0.2.1", now+time.Second/2); n != sourceQuestionsRate/2 {
		t.Errorf("%d questions after half a second, want %d", n, sourceQuestionsRate/2)
	}
	if n := count("2001:db8::1", now+time.Hour) + count("2001:db8::2", now+time.Hour); n != sourceQuestionsBurst {
		t.Errorf("%d questions of a /64, want %d", n, sourceQuestionsBurst)
	}
	all := 0
	for n := range 20 {
		all += count(netip.AddrFrom4([4]byte{198, 51, 100, byte(n)}).String(), now+2*time.Hour)
	}
	if all != questionsBurst {
		t.Errorf("%d questions of all, want %d", all, questionsBurst)
	}
}

// TestWrapDatagram: a packet is one that the program reads, with checksums that are right.
func TestWrapDatagram(t *testing.T) {
	local := netip.MustParseAddr("10.9.0.1")
	for _, at := range []struct{ client, dst string }{{"198.51.100.1:1000", "203.0.113.5:53"}, {"[fd51::1]:1000", "[2001:db8::5]:53"}} {
		for range 1000 {
			payload := make([]byte, rand.N(1500))
			for i := range payload {
				payload[i] = byte(rand.Uint32())
			}
			d := datagram{netip.MustParseAddrPort(at.client), netip.MustParseAddrPort(at.dst), byte(rand.Uint32()), payload}
			packet := wrapDatagram(d, local, key)[headerSize:]
			p, ok := parse(packet, d.client.Addr().Is4())
			header := len(packet) - 8 - len(payload)
			pseudo := append(append(d.client.Addr().AsSlice(), d.dst.Addr().AsSlice()...), 0, 17, packet[header+4], packet[header+5])
			pseudo = append(append(pseudo, packet[header:]...), make([]byte, len(payload)%2)...)
			if !ok || !p.udp || p.conn != (tuple{d.client, d.dst}) || onesComplement(pseudo) != 0xffff {
				t.Fatalf("%+v: %x", p, packet)
			}
			if p.v4 && (onesComplement(packet[:20]) != 0xffff || packet[1] != d.tos) || !p.v4 && packet[0]<<4|packet[1]>>4 != d.tos {
				t.Fatalf("TOS %x: %x", d.tos, packet)
			}
		}
	}
}
