package tcp_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"anyport/proxy/tcp"
)

// TestConversationsMoved holds conversations through proxies between which their conns go
// to and fro all the time.
func TestConversationsMoved(t *testing.T) {
	const workers = 4
	conversations := soak(400, 10_000)
	tidy(t)
	first := rand.Uint64()
	t.Log("seeds from", first)
	var all sync.WaitGroup
	moved := make([]int, workers)
	for worker := range uint64(workers) {
		addr, conns := accepting(t)
		a, b := twins(t, forward(addr))
		stop := shuttle(a, b, &moved[worker])
		all.Go(func() {
			defer stop()
			for n := worker; n < conversations; n += workers {
				if err := compare(first+n, addr, a.addr, conns); err != nil {
					t.Errorf("seed %d: %v", first+n, err)
				}
			}
		})
	}
	all.Wait()
	if t.Log("conns moved so often:", moved); uint64(slices.Min(moved)) < conversations/workers {
		t.Error("conns have not moved often enough")
	}
}

// shuttle moves the conns from one to the other and back until stop is called, and counts
// them.
func shuttle(from, to *proxy, moved *int) (stop func()) {
	over, stopped := make(chan struct{}), make(chan struct{})
	go func() { // ended by stop
		defer close(stopped)
		for ; ; from, to = to, from {
			if err := from.move(to, func(batch []tcp.Conn) error { *moved += len(batch); return nil }); err != nil {
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
