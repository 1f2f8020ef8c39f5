package tcp_test

import (
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/route"
)

// stream is size bytes that its seed determines.
func stream(seed byte, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), size)
}

// sum reads r to its end.
func sum(r io.Reader) (checksum string, err error) {
	hash := crc32.NewIEEE()
	n, err := io.Copy(hash, r)
	return fmt.Sprintf("%d bytes, crc %08x", n, hash.Sum32()), err
}

func TestBulkBothWays(t *testing.T) {
	const size = 100 << 20
	addr, conns := accepting(t)
	p := serve(t, forward(addr))
	client, origin := p.pair(conns)
	var both sync.WaitGroup
	for seed, c := range []*net.TCPConn{client, origin} {
		both.Go(func() {
			if _, err := io.Copy(c, stream(byte(seed), size)); err != nil {
				t.Error(err)
			}
			c.CloseWrite()
		})
		both.Go(func() {
			got, err := sum(c)
			want, _ := sum(stream(byte(1-seed), size))
			if got != want || err != nil {
				t.Errorf("read %s, %v; want %s", got, err, want)
			}
		})
	}
	both.Wait()
	if r := p.ends(route.Closed); r.Sent[route.ToOrigin].Bytes != size || r.Sent[route.ToClient].Bytes != size {
		t.Errorf("recorded %d and %d bytes, want %d each", r.Sent[route.ToOrigin].Bytes, r.Sent[route.ToClient].Bytes, size)
	}
}

// A client that sends nothing but FIN still gets the origin's answer.
func TestFINOnly(t *testing.T) {
	p := serve(t, forward(origin(t, func(c *net.TCPConn) {
		n, _ := io.Copy(io.Discard, c)
		fmt.Fprintf(c, "got %d bytes", n)
	})))
	c := p.dial()
	c.CloseWrite()
	hear(t, c, "got 0 bytes")
	hearFIN(t, c)
	p.ends(route.Closed)
}

func TestOriginClosesAtOnce(t *testing.T) {
	p := serve(t, forward(origin(t, func(*net.TCPConn) {})))
	c := p.dial()
	hearFIN(t, c)
	c.Close()
	p.ends(route.Closed)
}

// After one side's FIN the other way goes on for as long as it has something to say.
func TestHalfClose(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, forward(addr))
	for _, clientFirst := range []bool{true, false} {
		first, second := p.pair(conns)
		if !clientFirst {
			first, second = second, first
		}
		say(t, first, "question")
		first.CloseWrite()
		hear(t, second, "question")
		hearFIN(t, second)
		for range 3 {
			say(t, second, "answer")
			hear(t, first, "answer")
		}
		second.CloseWrite()
		hearFIN(t, first)
		p.ends(route.Closed)
	}
}

// A reader that stalls stops its sender: beyond what the kernel's buffers take,
// the proxy holds no more than one pipe.
func TestStalledReader(t *testing.T) {
	const readerTakes = 64 << 10
	bound := most(t, "tcp_rmem") + 2*most(t, "tcp_wmem") + readerTakes + 1<<20
	addr, conns := accepting(t)
	p := serve(t, forward(addr))
	for _, clientSends := range []bool{true, false} {
		reader, sender := p.pair(conns)
		if clientSends {
			reader, sender = sender, reader
		}
		if err := reader.SetReadBuffer(readerTakes); err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int64
		done := make(chan error, 1)
		go func() {
			_, err := io.Copy(sender, io.TeeReader(stream(1, 2*bound), counter{&sent}))
			sender.Close()
			done <- err
		}()
		stalls(t, &sent)
		if n := sent.Load(); n > bound {
			t.Errorf("%d bytes were taken for a reader that stalls, want at most %d", n, bound)
		}
		if err := reader.SetReadBuffer(4 << 20); err != nil {
			t.Fatal(err)
		}
		got, err := sum(reader)
		if want, _ := sum(stream(1, 2*bound)); got != want || err != nil {
			t.Errorf("read %s, %v; want %s", got, err, want)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		reader.Close()
		p.ends(route.Closed)
	}
}

// most is what the kernel lets a TCP socket's buffer grow to.
func most(t *testing.T, limit string) (bytes int64) {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/net/ipv4/" + limit)
	if err != nil {
		t.Fatal(err)
	}
	var least, usual int64
	if _, err := fmt.Sscan(string(text), &least, &usual, &bytes); err != nil {
		t.Fatal(err)
	}
	return bytes
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

// stalls waits until n has stood still. Too short a wait can only hide a fault, never feign one.
func stalls(t *testing.T, n *atomic.Int64) {
	before := int64(0)
	await(t, func() bool {
		time.Sleep(200 * time.Millisecond)
		now := n.Load()
		still := now > 0 && now == before
		before = now
		return still
	}, "the sender never stops")
}

// Urgent bytes arrive in their place, also between bytes that are spliced.
func TestUrgentData(t *testing.T) {
	addr, conns := accepting(t)
	p := serve(t, forward(addr))
	client, origin := p.pair(conns)
	for _, c := range []struct{ sender, reader *net.TCPConn }{{client, origin}, {origin, client}} {
		for range 2 {
			say(t, c.sender, "before")
			urgent(t, c.sender, "!")
			say(t, c.sender, "after")
			hear(t, c.reader, "before!after")
		}
		const size = 8 << 20
		go func() {
			io.Copy(c.sender, stream(1, size))
			urgent(t, c.sender, "!")
			io.Copy(c.sender, stream(2, size))
			c.sender.CloseWrite()
		}()
		got, err := sum(c.reader)
		want, _ := sum(io.MultiReader(stream(1, size), strings.NewReader("!"), stream(2, size)))
		if got != want || err != nil {
			t.Errorf("read %s, %v; want %s", got, err, want)
		}
	}
	p.ends(route.Closed)
}

// A conn can be older than Serve: what it sent stands in one queue, urgent data
// within, and no event will tell of what is behind that.
func TestUrgentDataSentBeforeServe(t *testing.T) {
	tidy(t)
	r := forward(origin(t, echo))
	fd, addr := listen(t, netip.MustParseAddrPort("127.0.0.1:0"))
	c := dial(t, addr)
	say(t, c, "before")
	urgent(t, c, "!")
	say(t, c, "after")
	serveOn(t, fd, addr, table{r}, r)
	hear(t, c, "before!after")
	c.Close() // before the drain that waits for it
}

func urgent(t *testing.T, c *net.TCPConn, text string) {
	if err := sendUrgent(c, []byte(text)); err != nil {
		t.Error(err)
	}
}

// sendUrgent makes the last of b urgent.
func sendUrgent(c *net.TCPConn, b []byte) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), b, unix.MSG_OOB, nil)
		return err != unix.EAGAIN
	})
	return err
}
