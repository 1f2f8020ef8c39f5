package tcp

import (
	"io"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/call"
	"anyport/proxy/route"
	"anyport/proxy/tcp/socket"
)

type anywhere struct{ route *config.Route }

func (a anywhere) Lookup(config.Protocol, netip.AddrPort) *config.Route { return a.route }

func (anywhere) Passes(config.Protocol, netip.AddrPort) bool { return false }

// relayed is a conn on a loop that does not run, with the sockets of its client and origin.
func relayed(t *testing.T) (l *loop, c *conn, client, origin *os.File) {
	t.Helper()
	l, _ = loopAndListener(t)
	live, r := route.NewLive(1), &config.Route{Name: "test"}
	live.Swap(anywhere{r}, []*config.Route{r})
	c = &conn{state: relaying, route: live.Set().Routes[0]}
	c.ends[clientEnd].fd, client = socketPair(t)
	c.ends[originEnd].fd, origin = socketPair(t)
	return l, c, client, origin
}

// socketPair is a TCP connection within this process.
func socketPair(t *testing.T) (near int32, far *os.File) {
	t.Helper()
	_, listener := loopAndListener(t)
	far = knock(t, listener)
	fd, _, err := call.Accept(listener)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := socket.SetOptions(fd); err != nil {
		t.Fatal(err)
	}
	return int32(fd), far
}

// await waits until the kernel says so of an end, which then hears all that it says.
func (e *end) await(t *testing.T, event int16) {
	t.Helper()
	e.ask(t, event, -1)
	e.noteEvents(uint32(e.ask(t, unix.POLLIN|unix.POLLOUT|unix.POLLRDHUP, 0)))
}

func (e *end) ask(t *testing.T, events int16, milliseconds int) int16 {
	t.Helper()
	fds := []unix.PollFd{{Fd: e.fd, Events: events}}
	for {
		_, err := unix.Poll(fds, milliseconds)
		if err == nil {
			return fds[0].Revents
		}
		if err != unix.EINTR {
			t.Fatal(err)
		}
	}
}

// send writes text, of which the last byte is urgent if flags say MSG_OOB.
func send(t *testing.T, to *os.File, text string, flags int) {
	t.Helper()
	if err := unix.Sendto(int(to.Fd()), []byte(text), flags, nil); err != nil {
		t.Fatal(err)
	}
}

func shut(t *testing.T, side *os.File) {
	t.Helper()
	if err := unix.Shutdown(int(side.Fd()), unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
}

// At urgent data splice says the same as at the end of the stream.
func TestSpliceStopsAtUrgentData(t *testing.T) {
	l, c, client, origin := relayed(t)
	send(t, client, "before", 0)
	send(t, client, "!", unix.MSG_OOB)
	send(t, client, "after", 0)
	shut(t, client)
	c.ends[clientEnd].await(t, unix.POLLRDHUP)
	c.ends[originEnd].await(t, unix.POLLOUT)
	c.ways[route.ToOrigin].streak = bulkStreak
	l.moveWay(c, route.ToOrigin)
	reads(t, origin, "before!after")
}

// An error is told once, here to a write. The read after it gets 0, as at FIN,
// and must not pass FIN on.
func TestReadAfterFailedWriteIsNoFIN(t *testing.T) {
	l, c, client, _ := relayed(t)
	if err := unix.SetsockoptLinger(int(client.Fd()), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		t.Fatal(err)
	}
	client.Close()
	c.ends[clientEnd].await(t, unix.POLLERR)
	c.ends[originEnd].await(t, unix.POLLOUT)
	c.ends[clientEnd].failed = false // the event that tells of RST is still to come
	l.send(c, route.ToClient, []byte("too late"))
	l.moveWay(c, route.ToOrigin)
	if w := c.ways[route.ToOrigin]; w.ended || w.finished {
		t.Errorf("FIN read: %v, passed on: %v", w.ended, w.finished)
	}
	if v := c.verdict(); v != route.ResetByClient {
		t.Errorf("verdict %v, want %v", v, route.ResetByClient)
	}
}

// A write that is taken in part leaves the rest for later, in order.
func TestHeldBytesGoFirst(t *testing.T) {
	l, c, client, origin := relayed(t)
	c.ends[clientEnd].await(t, unix.POLLOUT)
	c.ends[originEnd].await(t, unix.POLLOUT)
	c.ways[route.ToOrigin].held = l.buffers.Keep([]byte("first "))
	send(t, client, "second", 0)
	shut(t, client)
	c.ends[clientEnd].await(t, unix.POLLRDHUP)
	l.moveWay(c, route.ToOrigin)
	reads(t, origin, "first second")
	if c.ways[route.ToOrigin].held != nil {
		t.Error("an empty buffer is still held")
	}
}

// reads checks what comes up to FIN.
func reads(t *testing.T, from *os.File, want string) {
	t.Helper()
	got, err := io.ReadAll(from)
	if err != nil || string(got) != want {
		t.Errorf("read %q, %v; want %q", got, err, want)
	}
}
