package tcp

import (
	"encoding/json"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"anyport/config"
)

func TestMovable(t *testing.T) {
	for _, c := range []struct {
		name string
		conn conn
		want bool
	}{
		{"dialling", conn{state: dialling, ends: [2]end{takes, quiet}}, true},
		{"dialling, and the client has sent", conn{state: dialling, ends: [2]end{sends, quiet}}, true},
		{"dialling, and the client has reset", conn{state: dialling, ends: [2]end{isReset, quiet}}, false},
		{"idle", conn{state: relaying, ends: [2]end{takes, takes}}, true},
		{"with bytes to read", conn{state: relaying, ends: [2]end{sends, takes}, queued: true}, true},
		{"with a header that was not taken yet", conn{state: relaying, ways: [2]way{holding, empty}}, true},
		{"stalled, with bytes in a pipe", conn{state: relaying, ways: [2]way{empty, piping}}, true},
		{"half closed", conn{state: relaying, ways: [2]way{sentFIN, empty}}, true},
		{"with FIN behind bytes", conn{state: relaying, ways: [2]way{heldFIN, sentFIN}}, true},
		{"draining", conn{state: relaying, drained: time.Second}, true},
		{"RST of the client, its last bytes to be read", conn{state: relaying, ends: [2]end{sendsRST, takes}}, false},
		{"RST of the origin", conn{state: relaying, ends: [2]end{takes, isReset}}, false},
		{"on its way already", conn{state: relaying, moving: true}, false},
	} {
		if got := c.conn.movable(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

var origin1, client1 = netip.MustParseAddrPort("10.0.0.5:80"), netip.MustParseAddrPort("198.51.100.1:1234")

// Each way's bytes arrive, held and in a pipe, and the FINs behind them end the conn.
func TestMoveOfHeldBytes(t *testing.T) {
	for _, piped := range [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
		l, c, client, origin := relayed(t)
		c.client, c.dst = client1, origin1
		c.origin = c.route.Origins().At(origin1, 80)
		for i := range c.ends {
			c.ends[i].fd = int32(own(t, int(c.ends[i].fd)))
		}
		l.addConn(c)
		l.resumeConn(c)
		for d, word := range []string{"to the origin", "to the client"} {
			w := &c.ways[d]
			w.ended, w.bytes = true, uint64(len(word))
			if piped[d] {
				w.pipe = l.pipes.Borrow(0)
				w.pipe.Held, _ = unix.Write(int(w.pipe.Write), []byte(word))
			} else {
				w.held = l.buffers.Keep([]byte("…" + word))
				w.held = l.buffers.Took(w.held, len("…"))
			}
		}
		b, _ := l.suspendBatch(0, (*conn).hasOrigin)
		if len(b.exported) != 1 || b.exported[0].Files() != len(b.exported[0].FDs) {
			t.Fatalf("%+v moves", b.exported)
		}
		next, _ := loopAndListener(t)
		next.routes = l.routes
		next.addArrival(travelled(t, b.exported[0]))
		l.endMove(b.conns, true)
		if l.connCount != 0 || l.pipes.Lent() != 0 || l.pipes.Spare() != 0 {
			t.Errorf("%d conns, %d pipes, %d spare are left", l.connCount, l.pipes.Lent(), l.pipes.Spare())
		}
		for next.connCount > 0 {
			n, err := unix.EpollWait(next.epoll, next.events[:], -1)
			if err != nil && err != unix.EINTR {
				t.Fatal(err)
			}
			for i := range max(n, 0) {
				next.handleEvent(&next.events[i])
			}
			next.serveReady()
		}
		for far, want := range map[*os.File]string{origin: "to the origin", client: "to the client"} {
			got := make([]byte, len(want)+10)
			if n, err := far.Read(got); err != nil || string(got[:n]) != want {
				t.Errorf("read %q, %v; want %q", got[:n], err, want)
			}
		}
	}
}

// travelled is c as another process gets it.
func travelled(t *testing.T, c Conn) *Conn {
	t.Helper()
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	arrived := &Conn{}
	if err := json.Unmarshal(body, arrived); err != nil {
		t.Fatal(err)
	}
	for _, fd := range c.FDs {
		arrived.FDs = append(arrived.FDs, own(t, fd))
	}
	return arrived
}

// own is another file descriptor for the same file.
func own(t *testing.T, fd int) int {
	t.Helper()
	other, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// TestMovedTwice: a conn that has moved would move again as it was.
func TestMovedTwice(t *testing.T) {
	at := time.Now().UTC()
	for _, test := range []struct {
		name string
		conn Conn
	}{
		{"dialling", Conn{Route: "test", Dialling: true}},
		{"after other origins", Conn{
			Route: "test", Dialling: true, Unsure: true,
			Tried: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.6:80"), netip.MustParseAddrPort("10.0.0.7:80")},
		}},
		{"relaying", Conn{Route: "test", Ways: [2]Way{{Bytes: 7}, {Bytes: 1 << 40}}}},
		{"half closed, with bytes before the other FIN", Conn{
			Route: "test", Ways: [2]Way{{Bytes: 1, Ended: true, Finished: true}, {Bytes: 4, Ended: true, Held: []byte("last")}},
		}},
		{"of a route that was removed", Conn{Route: "gone", Timeouts: config.Timeouts{Idle: time.Hour, Drain: time.Minute}, Cut: at.Add(time.Minute)}},
	} {
		l, c, _, _ := relayed(t)
		r := &config.Route{Name: "test"}
		l.routes.Swap(anywhere{r}, []*config.Route{r})
		want := test.conn
		want.Client, want.Dst, want.Origin = client1, origin1, origin1
		want.ID, want.Connect = 7, 1500
		want.Begun, want.Dialled, want.Last = at.Add(-3*time.Hour), at.Add(-2*time.Hour), at.Add(-time.Hour)
		want.FDs = []int{int(c.ends[clientEnd].fd), int(c.ends[originEnd].fd)}
		l.addArrival(travelled(t, want))
		b, _ := l.suspendBatch(0, (*conn).hasOrigin)
		if diff := cmp.Diff([]Conn{want}, b.exported, cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateApproxTime(time.Second), cmpopts.IgnoreFields(Conn{}, "FDs")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", test.name, diff)
		}
		l.endMove(b.conns, true)
	}
}
