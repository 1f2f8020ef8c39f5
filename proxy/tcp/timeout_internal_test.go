package tcp

import (
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/route"
)

// A conn is not idle while the kernel delivers to a slow reader what has passed through
// the proxy before.
func TestSlowReaderIsNotIdle(t *testing.T) {
	for _, finished := range []bool{false, true} {
		l, c, client, _ := relayed(t)
		c.route.Timeouts = config.Timeouts{Idle: time.Minute, HalfClose: time.Second}
		c.timer.Value, c.ways[route.ToClient].finished = c, finished
		out := c.ends[clientEnd].fd
		clog(out)
		for range 3 {
			for was := l.sockets.Unacked(out); was == l.sockets.Unacked(out); { // until the window opens
				if _, err := io.ReadFull(client, make([]byte, 16<<10)); err != nil {
					t.Fatal(err)
				}
			}
			l.now += time.Hour
			l.timerFired(c)
			if at, _ := c.deadline(c.route.Timeouts); c.state == closed || at <= l.now {
				t.Fatalf("cut while its reader reads, deadline %v at %v", at, l.now)
			}
		}
	}
}

// A reader that has stalled is found out when it is looked at again.
func TestStalledReaderIsIdle(t *testing.T) {
	l, c, _, _ := relayed(t)
	if c.delivering(l.sockets) {
		t.Error("nothing was sent yet")
	}
	clog(c.ends[clientEnd].fd)
	for c.delivering(l.sockets) { // until the kernel has sent what it can
		time.Sleep(10 * time.Millisecond)
	}
	if l.sockets.Unacked(c.ends[clientEnd].fd) == 0 {
		t.Error("the kernel has sent it all")
	}
}

// clog writes as much as the kernel takes.
func clog(fd int32) {
	for err := error(nil); err == nil; {
		_, err = unix.Write(int(fd), make([]byte, 64<<10))
	}
}
