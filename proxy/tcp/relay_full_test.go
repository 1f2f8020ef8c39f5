package tcp

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy/buffers"
	"anyport/proxy/pipes"
)

// stalled are conns of one loop, each with a client that speaks and an origin that reads now
// and then.
type stalled struct {
	*fakeConn
	conns []*conn
	said  [][]byte
}

func newStalled(conns, most int) *stalled {
	s := &stalled{fakeConn: newFakeConn(), said: make([][]byte, conns)}
	s.closeConn(s.conn, 0)
	s.buffers = buffers.NewStoreOf(most)
	for range pipes.Most { // so that ways get none
		s.loop.pipes.Adopt(-1, -1, 0)
	}
	for i := range conns {
		c := &conn{state: relaying, route: s.conn.route, ends: [2]end{{fd: int32(2*i + 1), writable: true}, {fd: int32(2*i + 2), writable: true}}}
		s.peers[c.ends[clientEnd].fd], s.peers[c.ends[originEnd].fd] = &fakePeer{}, &fakePeer{}
		s.addConn(c)
		s.conns = append(s.conns, c)
	}
	return s
}

// peer is a client or an origin.
func (s *stalled) peer(conn, which int) *fakePeer { return s.peers[s.conns[conn].ends[which].fd] }

// say has a client say more, and read has an origin read more.
func (s *stalled) say(conn int, b []byte) {
	s.said[conn] = append(s.said[conn], b...)
	client := s.peer(conn, clientEnd)
	client.says = append(client.says, b...)
	s.tell(conn, clientEnd, unix.EPOLLIN)
}

func (s *stalled) read(conn, n int) {
	s.peer(conn, originEnd).room += n
	s.tell(conn, originEnd, unix.EPOLLOUT)
}

func (s *stalled) tell(conn, which int, events uint32) {
	s.conns[conn].ends[which].noteEvents(events)
	s.serveConn(s.conns[conn])
	for len(s.ready) > 0 {
		s.serveReady()
	}
}

// check holds the loop against what has been said and heard.
func (s *stalled) check(t *testing.T, most int) {
	t.Helper()
	kept := 0
	for i, c := range s.conns {
		heard, held := s.peer(i, originEnd).heard, []byte(nil)
		if k := c.ways[0].held; k != nil {
			held, kept = k.Held(), kept+k.Size()
			if k.Size() > max(4*len(held), 4<<10) {
				t.Fatalf("%d bytes are kept in a buffer of %d", len(held), k.Size())
			}
		}
		if got := bytes.Join([][]byte{heard, held, s.peer(i, clientEnd).says}, nil); !bytes.Equal(got, s.said[i]) {
			t.Fatalf("conn %d: %d bytes were heard, %d are kept, %d unread: these are not the %d that were said", i, len(heard), len(held), len(s.peer(i, clientEnd).says), len(s.said[i]))
		}
	}
	if kept != s.buffers.Kept() || kept > most {
		t.Fatalf("%d bytes are kept, %d counted, %d allowed", kept, s.buffers.Kept(), most)
	}
}

// TestStalledReaders has clients speak and origins read at random: the bound holds, no byte
// is lost or moved, and in the end all arrives.
func TestStalledReaders(t *testing.T) {
	const conns, most, largest = 40, 4 * buffers.Size, 3 * buffers.Size
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, fill := newStalled(conns, most), rand.NewChaCha8([32]byte{1})
	for range often(500) {
		i := random.IntN(conns)
		if n := 1 + random.IntN(1<<random.IntN(18))%largest; random.IntN(2) == 0 {
			b := make([]byte, n)
			fill.Read(b)
			s.say(i, b)
		} else {
			s.read(i, n)
		}
		s.check(t, most)
	}
	for i := range conns {
		s.read(i, 1<<30)
		if n := len(s.peer(i, clientEnd).says); n > 0 {
			t.Errorf("conn %d: the origin reads, and %d bytes are left with the kernel", i, n)
		}
	}
	s.check(t, 0)
}

// TestFullMemoryStopsNobody fills the memory with readers that stall: a reader that reads
// gets all, and a reader that stalls gets nothing kept.
func TestFullMemoryStopsNobody(t *testing.T) {
	const conns, most = 20, 4 * buffers.Size
	s := newStalled(conns, most)
	for i := range conns - 1 {
		s.say(i, make([]byte, buffers.Size))
		s.read(i, 1)
	}
	s.check(t, most)
	if !s.buffers.Full() {
		t.Fatalf("%d stalled readers hold %d bytes of %d", conns-1, s.buffers.Kept(), most)
	}
	last := conns - 1
	s.read(last, 10*buffers.Size)
	s.say(last, make([]byte, 10*buffers.Size))
	if n := len(s.peer(last, originEnd).heard); n != 10*buffers.Size {
		t.Errorf("a reader that reads got %d bytes, want %d", n, 10*buffers.Size)
	}
	if held := s.conns[last-1].ways[0].held; held != nil {
		t.Errorf("the last one that stalls has %d bytes kept", held.Size())
	}
}
