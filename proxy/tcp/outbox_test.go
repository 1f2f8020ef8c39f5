package tcp

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"anyport/proxy/buffers"
	"anyport/proxy/origin"
)

// turned are conns that relay, whose events come through the loop's turns.
type turned struct {
	*stalled
	events []unix.EpollEvent // of the next turn
}

func newTurned(conns int) *turned {
	s := &turned{stalled: newStalled(conns, 8*buffers.Size)}
	for i := range conns {
		for which := range 2 {
			s.peer(i, which).room = 1 << 30
		}
		s.conns[i].origin = s.conn.route.Origins().Pick(origin.Ask{})
		s.conns[i].origin.Begin()
	}
	return s
}

// happen lets a peer act, and notes the event for the next turn.
func (s *turned) happen(t *testing.T, conn, which int, what, text string) {
	t.Helper()
	events, known := s.peer(conn, which).act(what, text)
	if !known {
		t.Fatalf("nobody can do %q", what)
	}
	if c := s.conns[conn]; events != 0 {
		s.events = append(s.events, unix.EpollEvent{Events: events, Fd: int32(c.slot<<1) | int32(which), Pad: int32(c.generation)})
	}
}

// turnOver handles the events, and what they leave, until the loop would wait.
func (s *turned) turnOver(t *testing.T) {
	t.Helper()
	for first := true; first || len(s.ready) > 0; first = false {
		if err := s.turn(s.events); err != nil {
			t.Fatal(err)
		}
		s.events = nil
	}
}

// heard is what each peer has heard, for comparison. Of two FINs of a turn either may be the second, which goes
// with the close. Who sent RST hears nothing more, so how much it heard before depends on the moment.
func (s *turned) heard() (all []string) {
	for i := range s.conns {
		for which := range 2 {
			p := s.peer(i, which)
			if p.err != nil {
				continue
			}
			all = append(all, fmt.Sprintf("conn %d, end %d: %d bytes %x,%s", i, which, len(p.heard), p.heard[:min(len(p.heard), 40)], strings.Replace(p.heardEnd, " FIN closed", " closed", 1)))
		}
	}
	return all
}

// orderly notes the order of reads and writes.
type orderly struct {
	*fakeSockets
	calls []string
}

func (o *orderly) Receive(fd int32, b []byte) (int, error) {
	o.calls = append(o.calls, "read")
	return o.fakeSockets.Receive(fd, b)
}

func (o *orderly) Send(fd int32, b []byte) (int, error) {
	o.calls = append(o.calls, "write")
	return o.fakeSockets.Send(fd, b)
}

// TestTurnReadsFirst: small messages of one turn are read before the first of them is written. A large one
// is written at once, and none of them is lost or mixed up.
func TestTurnReadsFirst(t *testing.T) {
	for _, c := range []struct {
		name string
		says []string
		want string
	}{
		{"one", []string{"a"}, "read write"},
		{"three", []string{"a", "b", "c"}, "read read read write write write"},
		{"a large one between", []string{"a", strings.Repeat("x", largestMessage+1), "c"}, "read read write read write write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTurned(len(c.says))
			o := &orderly{fakeSockets: s.fakeSockets}
			s.sockets = o
			for i, text := range c.says {
				s.happen(t, i, clientEnd, "says", text)
			}
			s.turnOver(t)
			if got := strings.Join(o.calls, " "); got != c.want {
				t.Errorf("calls: %s, want %s", got, c.want)
			}
			for i, text := range c.says {
				if got := string(s.peer(i, originEnd).heard); got != text {
					t.Errorf("origin %d heard %.20q, want %.20q", i, got, text)
				}
			}
		})
	}
}

// TestTurnsAgree plays random lives of conns twice: with each event in a turn of its own, and with many events a
// turn. All peers hear the same. ANYPORT_SOAK=1 plays more.
func TestTurnsAgree(t *testing.T) {
	const conns = 5
	rounds := 300
	if os.Getenv("ANYPORT_SOAK") != "" {
		rounds = 5000
	}
	for seed := range uint64(rounds) {
		play := func(most int) []string {
			random, turns := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2))
			s := newTurned(conns)
			var silent [conns][2]bool
			for range 60 {
				conn, which := random.IntN(conns), random.IntN(2)
				what, text := deed(random, seed%2 == 0)
				if silent[conn][which] && what != "stalls" && what != "reads" {
					continue
				}
				silent[conn][which] = silent[conn][which] || what == "closes" || what == "resets"
				s.happen(t, conn, which, what, text)
				if len(s.events) > turns.IntN(most) {
					s.turnOver(t)
				}
			}
			for conn := range conns { // whoever did not read does now
				for which := range 2 {
					s.happen(t, conn, which, "reads", "")
					s.turnOver(t)
				}
			}
			return s.heard()
		}
		if diff := cmp.Diff(play(1), play(12)); diff != "" {
			t.Fatalf("seed %d (-each event in a turn of its own +many in one):\n%s", seed, diff)
		}
	}
}

// TestOutboxIsEmptiedInTurn: what a conn can read once its message is sent does not wait for the end of the turn:
// an order may follow, such as one to move it.
func TestOutboxIsEmptiedInTurn(t *testing.T) {
	s := newTurned(1)
	s.outbox.collecting = true
	s.happen(t, 0, clientEnd, "says", "hello")
	s.happen(t, 0, clientEnd, "closes", "")
	s.peer(0, clientEnd).fin = false // its last word has not come yet
	s.events[0].Events |= unix.EPOLLRDHUP
	if err := s.handleEvent(&s.events[0]); err != nil {
		t.Fatal(err)
	}
	s.happen(t, 0, clientEnd, "says", " again")
	s.sendCollected()
	if heard := string(s.peer(0, originEnd).heard); heard != "hello again" || len(s.outbox.messages) > 0 || !s.outbox.collecting {
		t.Errorf("heard %q, %d messages, collecting: %t", heard, len(s.outbox.messages), s.outbox.collecting)
	}
}

// deed is something that a peer does. A peer stalls or resets: what is not taken when RST comes is lost, so both
// together depend on the moment.
func deed(random *rand.Rand, stalls bool) (what, text string) {
	switch n := random.IntN(20); {
	case n < 12:
		return "says", strings.Repeat(string(rune('a'+random.IntN(26))), 1+random.IntN(60))
	case n < 13:
		return "pours", fmt.Sprint(random.IntN(3 * buffers.Size))
	case n < 15 && stalls:
		return "stalls", fmt.Sprint(random.IntN(100))
	case n < 18:
		return "reads", ""
	case n < 19 && !stalls:
		return "resets", ""
	}
	return "closes", ""
}

// TestOutboxIsEmptied: what a turn leaves behind is nothing, whatever ended meanwhile.
func TestOutboxIsEmptied(t *testing.T) {
	s := newTurned(3)
	for i := range 3 {
		s.happen(t, i, clientEnd, "says", "hello")
	}
	s.happen(t, 1, originEnd, "resets", "")
	s.turnOver(t)
	if o := s.outbox; len(o.messages) != 0 || o.used != 0 || o.collecting {
		t.Errorf("%d messages, %d bytes, collecting: %t", len(o.messages), o.used, o.collecting)
	}
	ended := slices.IndexFunc(s.conns, func(c *conn) bool { return c.state == closed })
	if ended != 1 || s.connCount != 2 {
		t.Errorf("conn %d has ended, %d are left; want the second to end", ended, s.connCount)
	}
}
