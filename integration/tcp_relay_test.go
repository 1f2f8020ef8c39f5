package integration

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// relayFile serves every port of the rig's prefixes at the origin's same port.
const relayFile = `
[route.v4]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
[route.v6]
protocol = ["tcp", "udp"]
prefixes = ["2001:db8:1::/48"]
origins  = ["[fd00:5::5]"]
`

// pair is a conn through anyport, seen from both its ends.
type pair struct{ client, origin *net.TCPConn }

// pairs gives a maker of conns from the client to a listener on the origin.
func (r *rig) pairs(t *testing.T) func() (pair, error) {
	t.Helper()
	listener := r.origin.listen(t, "10.0.0.5:4711")
	return func() (pair, error) {
		client, err := r.client.tryDial("tcp", "", dstV4+":4711")
		if err != nil {
			return pair{}, err
		}
		origin, err := listener.Accept()
		if err != nil {
			client.Close()
			return pair{}, err
		}
		return pair{client.(*net.TCPConn), origin.(*net.TCPConn)}, nil
	}
}

// newPair starts a lab with anyport and makes one conn through it.
func newPair(t *testing.T) pair {
	t.Helper()
	r := newRig(t)
	r.edge.serveWith(t, relayFile)
	p, err := r.pairs(t)()
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []*net.TCPConn{p.client, p.origin} {
		end.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { end.Close() })
	}
	return p
}

// TestConn tests a conn through anyport by the rules of net.Conn.
func TestConn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.serveWith(t, relayFile)
	dial := r.pairs(t)
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		p, err := dial()
		if err != nil {
			return nil, nil, nil, err
		}
		return p.client, p.origin, func() { p.client.Close(); p.origin.Close() }, nil
	})
}

// TestBulk sends 100 MB each way at once, each side closing its half when it is done:
// what arrives is what was sent, to the byte.
func TestBulk(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.client.SetDeadline(time.Now().Add(time.Minute))
	p.origin.SetDeadline(time.Now().Add(time.Minute))
	var ways sync.WaitGroup
	ways.Go(func() { carry(t, p.client, p.origin, 1) })
	ways.Go(func() { carry(t, p.origin, p.client, 2) })
	ways.Wait()
}

// carry sends 100 MB and compares them with what arrives.
func carry(t *testing.T, from, to *net.TCPConn, seed byte) {
	const size = 100 << 20
	sent, arrived := sha256.New(), sha256.New()
	var sender sync.WaitGroup
	sender.Go(func() {
		if err := send(io.MultiWriter(from, sent), size, seed); err != nil {
			t.Error(err)
		}
		from.CloseWrite()
	})
	got, err := io.Copy(arrived, to)
	sender.Wait()
	if err != nil || got != size || !bytes.Equal(arrived.Sum(nil), sent.Sum(nil)) {
		t.Errorf("%d bytes arrived of %d, hash %x, sent %x, %v", got, size, arrived.Sum(nil), sent.Sum(nil), err)
	}
}

// send writes random bytes in pieces of random size.
func send(to io.Writer, size int, seed byte) error {
	random := rand.NewChaCha8([32]byte{seed})
	piece := make([]byte, 256<<10)
	random.Read(piece)
	for size > 0 {
		n := min(size, 1+int(random.Uint64()%uint64(len(piece))))
		if _, err := to.Write(piece[:n]); err != nil {
			return err
		}
		size -= n
	}
	return nil
}

// sides are the two ends of a conn, in the order in which a test uses them.
var sides = map[string]func(pair) (first, second *net.TCPConn){
	"client": func(p pair) (first, second *net.TCPConn) { return p.client, p.origin },
	"origin": func(p pair) (first, second *net.TCPConn) { return p.origin, p.client },
}

// TestHalfClose checks that either side may close first and still be answered.
func TestHalfClose(t *testing.T) {
	for name, ends := range sides {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := ends(newPair(t))
			io.WriteString(first, "question")
			first.CloseWrite()
			if got, err := io.ReadAll(second); err != nil || string(got) != "question" {
				t.Fatalf("the other side read %q, %v", got, err)
			}
			io.WriteString(second, "answer")
			second.Close()
			if got, err := io.ReadAll(first); err != nil || string(got) != "answer" {
				t.Errorf("the side that closed first read %q, %v", got, err)
			}
		})
	}
}

// TestOnlyFIN checks that a client that sends nothing and closes still gets what the
// origin sends.
func TestOnlyFIN(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.client.CloseWrite()
	if got, err := io.ReadAll(p.origin); err != nil || len(got) != 0 {
		t.Fatalf("the origin read %q, %v, want nothing but the end", got, err)
	}
	io.WriteString(p.origin, "goodbye")
	p.origin.Close()
	if got, err := io.ReadAll(p.client); err != nil || string(got) != "goodbye" {
		t.Errorf("the client read %q, %v", got, err)
	}
}

// TestServerFirst checks that an origin can speak first.
func TestServerFirst(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	io.WriteString(p.origin, "220 ready")
	got := make([]byte, 9)
	if _, err := io.ReadFull(p.client, got); err != nil || string(got) != "220 ready" {
		t.Errorf("the client read %q, %v", got, err)
	}
}

// TestReset checks that RST arrives as RST, from either side.
func TestReset(t *testing.T) {
	for name, ends := range sides {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cuts, sees := ends(newPair(t))
			io.WriteString(cuts, "x")
			if _, err := io.ReadFull(sees, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			cuts.SetLinger(0) // close sends RST
			cuts.Close()
			if _, err := sees.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the other side saw %v, want a reset", err)
			}
		})
	}
}
