package tcp_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"anyport/proxy/tcp"
)

// TestConversationsMoved holds conversations through proxies between which their conns go
// to and fro all the time: on average each at least once, however fast the machine.
func TestConversationsMoved(t *testing.T) {
	const workers = 4
	conversations := soak(400, 10_000)
	tidy(t)
	first := rand.Uint64()
	t.Log("seeds from", first)
	var all sync.WaitGroup
	var moved [workers]atomic.Uint64
	for worker := range uint64(workers) {
		addr, conns := accepting(t)
		a, b := twins(t, forward(addr))
		stop := shuttle(a, b, &moved[worker])
		all.Go(func() {
			defer stop()
			n, least := worker, conversations/workers
			for ; n < conversations || n < 50*conversations && moved[worker].Load() < least; n += workers {
				if err := compare(first+n, addr, a.addr, conns); err != nil {
					t.Errorf("seed %d: %v", first+n, err)
				}
			}
			if moved := moved[worker].Load(); moved < least {
				t.Errorf("conns have moved %d times in %d conversations", moved, n/workers)
			}
		})
	}
	all.Wait()
}

// shuttle moves the conns from one to the other and back until stop is called, and counts
// them.
func shuttle(from, to *proxy, moved *atomic.Uint64) (stop func()) {
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ended by stop
		defer close(stopped)
		for ; ; from, to = to, from {
			if err := from.move(to, func(batch []tcp.Conn) error { moved.Add(uint64(len(batch))); return nil }); err != nil {
				from.t.Error(err)
			}
			select {
			case <-over:
				return
			default:
			}
		}
	}()
	return func() {
		close(over)
		<-stopped
	}
}
