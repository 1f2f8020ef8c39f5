package tcp_test

import (
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"

	"anyport/config"
)

// soak is how often a test repeats its case: short in `make test`, long in `make soak`, and
// a twentieth of short with -short, which is for emulated machines.
func soak(short, long uint64) uint64 {
	switch {
	case os.Getenv("ANYPORT_SOAK") == "1":
		return long
	case testing.Short():
		return short / 20
	}
	return short
}

// TestConversations holds each conversation twice, directly and through the
// proxy, and compares what both sides saw.
func TestConversations(t *testing.T) {
	const workers = 8
	conversations := soak(2000, 10_000)
	tidy(t)
	first := rand.Uint64()
	t.Log("seeds from", first)
	var all sync.WaitGroup
	for worker := range uint64(workers) {
		addr, conns := accepting(t)
		r := forward(addr)
		r.ProxyProtocol = config.ProxyOff
		p := serve(t, r)
		all.Go(func() {
			for n := worker; n < conversations; n += workers {
				seed := first + n
				err := compare(seed, addr, p.addr, conns)
				if r := <-p.records; err != nil {
					t.Errorf("seed %d: %v; the proxy says %+v", seed, err, r)
				}
			}
		})
	}
	all.Wait()
}

func compare(seed uint64, direct, through string, conns <-chan *net.TCPConn) error {
	c := newConversation(seed)
	var said [2]transcript
	for i, addr := range []string{direct, through} {
		client, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		said[i] = c.hold(seed, [2]*net.TCPConn{client.(*net.TCPConn), <-conns})
	}
	if c.rash {
		return c.cutShort(seed, said[1])
	}
	if said[0] != said[1] {
		return fmt.Errorf("directly %+v, through the proxy %+v", said[0], said[1])
	}
	return nil
}

// cutShort checks what is left to check when RST overtakes bytes: those that
// arrived are the first that were sent.
func (c conversation) cutShort(seed uint64, said transcript) error {
	for i, h := range said {
		first := crc32.NewIEEE()
		io.CopyN(first, words(seed, 1-i), int64(h.bytes))
		if h.bytes > c.sides[1-i].total() || h.crc != first.Sum32() {
			return fmt.Errorf("side %d heard %+v, which was not said", i, h)
		}
	}
	return nil
}
