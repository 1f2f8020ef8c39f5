package integration

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStalledReaders has many clients ask for a stream and read nothing. anyport's
// memory stays bounded, others are served as before, and when the clients read, what
// arrives is what was sent.
func TestStalledReaders(t *testing.T) {
	onlySoak(t)
	const readers, size, most = 2200, 192 << 10, 64 << 20 // bytes: twice what it may keep
	raiseFiles(t, 1<<14)
	r := newRig(t)
	// Much arrives at anyport at once, and little of it goes on.
	r.client.sysctl(t, map[string]string{"net/ipv4/tcp_rmem": "4096 8192 8192"})
	r.edge.sysctl(t, map[string]string{"net/ipv4/tcp_rmem": "4096 131072 131072", "net/ipv4/tcp_wmem": "4096 8192 8192"})
	r.origin.serve(t, "10.0.0.5:4711", func(conn net.Conn) {
		seed := make([]byte, 1)
		if _, err := io.ReadFull(conn, seed); err == nil {
			io.Copy(conn, stream(seed[0], size))
		}
		conn.Close()
	})
	r.origin.serve(t, "10.0.0.5:4712", echo)
	p := r.edge.serveWith(t, relayFile)
	before := p.memory(t)
	conns := r.client.dialMany(t, dstV4+":4711", readers)
	for n, conn := range conns {
		conn.SetDeadline(time.Now().Add(6 * patience))
		if _, err := conn.Write([]byte{byte(n)}); err != nil {
			t.Fatal(err)
		}
	}
	var grown int
	for range 20 { // until it has read what it will read
		grown = max(grown, p.memory(t)-before)
		time.Sleep(silence / 5)
	}
	t.Logf("%d stalled readers: %d MiB more, of %d MiB before", readers, grown>>20, before>>20)
	if grown > most {
		t.Errorf("the process has grown by %d MiB, want at most %d", grown>>20, most>>20)
	}
	talk(t, r.client.dial(t, "tcp", dstV4+":4712"), "served all the same")

	want := map[byte]string{}
	for n := range 256 {
		want[byte(n)] = digest(stream(byte(n), size))
	}
	var all sync.WaitGroup
	for n, conn := range conns {
		if err := conn.(*net.TCPConn).SetReadBuffer(size); err != nil { // and the window opens
			t.Fatal(err)
		}
		all.Go(func() {
			if got := digest(conn); got != want[byte(n)] {
				t.Errorf("reader %d: hash %s, want %s", n, got, want[byte(n)])
			}
		})
	}
	all.Wait()
}

// stream is size random bytes.
func stream(seed byte, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), size)
}

// digest is the hash of all that comes; an error shows in it.
func digest(from io.Reader) string {
	sum := sha256.New()
	_, err := io.Copy(sum, from)
	return fmt.Sprintf("%x %v", sum.Sum(nil)[:8], err)
}

// memory is the resident memory of the process, in bytes.
func (p *proxy) memory(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, size, _ := strings.Cut(string(text), "VmRSS:")
	var kilobytes int
	if _, err := fmt.Sscan(size, &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}
