package udp

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/proxy/datagram"
	"anyport/proxy/flow"
	"anyport/proxy/quota"
)

// fakeOpener hands out numbers for sockets, and knows which are open.
type fakeOpener struct {
	next int
	open map[int]netip.AddrPort
	raw  bool
	err  error
}

func (o *fakeOpener) opens(dst netip.AddrPort) (datagram.ReplySocket, error) {
	if o.err != nil {
		return datagram.ReplySocket{}, o.err
	}
	if o.raw {
		return datagram.ReplySocket{FD: -7, Control: []byte{1}}, nil
	}
	o.next++
	o.open[o.next] = dst
	return datagram.ReplySocket{FD: o.next}, nil
}

func (o *fakeOpener) closes(fd int) { delete(o.open, fd) }

func newFakeReplies(max int) (*replies, *fakeOpener) {
	o := &fakeOpener{open: map[int]netip.AddrPort{}}
	return newReplies(quota.New(max, quota.NewPool(0)), &flow.ReplyAddrs{}, o.opens, o.closes), o
}

// TestRepliesAgainstModel: each use is answered from its own dst, the bound
// holds, the least recently used are those that are closed, and the last release
// leaves nothing.
func TestRepliesAgainstModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const most = 4
	rs, o := newFakeReplies(most)
	holders := map[netip.AddrPort][]*reply{}
	var recent []netip.AddrPort // open ones, the model's
	used := func(dst netip.AddrPort) {
		recent = append(without(recent, dst), dst)
		recent = recent[max(0, len(recent)-most):]
	}
	for range 20000 {
		dst := netip.AddrPortFrom(dst1.Addr(), uint16(1+random.IntN(8)))
		switch held := holders[dst]; {
		case len(held) == 0 || random.IntN(3) == 0:
			r, err := rs.acquire(dst)
			check(t, err)
			holders[dst] = append(held, r)
			used(dst)
		case random.IntN(2) == 0:
			a, err := rs.use(held[0])
			check(t, err)
			if o.open[a.FD] != dst {
				t.Fatalf("%v is answered from %v", dst, o.open[a.FD])
			}
			used(dst)
		default:
			rs.release(held[0])
			if holders[dst] = held[1:]; len(held) == 1 {
				recent = without(recent, dst)
			}
		}
		checkOpen(t, o, recent)
	}
	for _, held := range holders {
		for _, r := range held {
			rs.release(r)
		}
	}
	if len(o.open) != 0 || len(rs.held) != 0 || rs.recent.Len() != 0 {
		t.Errorf("%d sockets, %d replies left", len(o.open), len(rs.held))
	}
}

func without(list []netip.AddrPort, dst netip.AddrPort) (rest []netip.AddrPort) {
	for _, d := range list {
		if d != dst {
			rest = append(rest, d)
		}
	}
	return rest
}

func checkOpen(t *testing.T, o *fakeOpener, want []netip.AddrPort) {
	t.Helper()
	open := map[netip.AddrPort]bool{}
	for _, dst := range o.open {
		open[dst] = true
	}
	for _, dst := range want {
		if !open[dst] {
			t.Fatalf("no socket answers for %v", dst)
		}
	}
	if len(o.open) != len(want) {
		t.Fatalf("%d sockets are open, want %d", len(o.open), len(want))
	}
}

func TestRawSocketIsShared(t *testing.T) {
	rs, o := newFakeReplies(1)
	o.raw = true
	a, errA := rs.acquire(dst1)
	b, errB := rs.acquire(dst2)
	if errA != nil || errB != nil || a.socket.FD != b.socket.FD {
		t.Fatalf("%v %v, fds %d and %d", errA, errB, a.socket.FD, b.socket.FD)
	}
	rs.release(a)
	rs.release(b) // nothing was open: nothing is closed
	if len(rs.held) != 0 {
		t.Errorf("%d replies left", len(rs.held))
	}
}

func TestReplyThatFails(t *testing.T) {
	rs, o := newFakeReplies(1)
	o.err = unix.EMFILE
	if _, err := rs.acquire(dst1); err != unix.EMFILE {
		t.Errorf("got %v", err)
	}
	if len(rs.held) != 0 {
		t.Error("it is held all the same")
	}
}

// TestRepliesOfFewerFiles lowers the bound below what is open: each dst with flows still answers, one
// socket at the expense of another, and the number of open ones does not grow.
func TestRepliesOfFewerFiles(t *testing.T) {
	const most = 4
	rs, o := newFakeReplies(most)
	var held []*reply
	for port := range uint16(2 * most) {
		r, err := rs.acquire(netip.AddrPortFrom(dst1.Addr(), 1+port))
		check(t, err)
		held = append(held, r)
	}
	quota.Redivide([]*quota.Quota{rs.files}, 0)
	for range 3 {
		for _, r := range held {
			answer, err := rs.use(r)
			check(t, err)
			if o.open[answer.FD] != r.dst || len(o.open) != most || rs.files.Held() != most {
				t.Fatalf("%v answers from %v; %d are open, %d held, want %d", r.dst, o.open[answer.FD], len(o.open), rs.files.Held(), most)
			}
		}
	}
}
