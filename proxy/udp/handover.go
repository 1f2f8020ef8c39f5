package udp

import (
	"context"
	"sync"

	"golang.org/x/sys/unix"
)

// conduct has the loops drain once ctx is done, or leave their flows to another
// process before that.
func conduct(ctx context.Context, loops []*loop, handovers <-chan func([]Flow) error) {
	for {
		select {
		case <-ctx.Done():
			for _, l := range loops {
				l.orders.Do(func() { l.table.drain(l.now()) })
			}
			return
		case give := <-handovers:
			if handOver(loops, give) {
				return
			}
		}
	}
}

// handOver has all loops stand still while it gives their flows away, and reports
// whether they are gone.
func handOver(loops []*loop, give func([]Flow) error) (gone bool) {
	standing, decided := make(chan []Flow, len(loops)), make(chan struct{})
	var orders sync.WaitGroup
	for i, l := range loops {
		orders.Go(func() { // ends once it is decided, or its loop has ended
			stoodStill := l.orders.Do(func() {
				standing <- l.table.export(i)
				if <-decided; gone {
					l.table.leave()
					l.left = true
				}
			})
			if !stoodStill { // after an error: it has no flows any more
				standing <- nil
			}
		})
	}
	var flows []Flow
	for range loops {
		flows = append(flows, <-standing...)
	}
	gone = give(flows) == nil
	close(decided)
	orders.Wait()
	return gone
}

// adopt gives the flows of another process to the loops of their listeners, and closes
// the sockets that none of them has a use for.
func adopt(loops []*loop, flows []Flow) {
	used := map[int]bool{}
	for _, f := range flows {
		l := loops[f.Listener]
		adopted := l.table.adopt(f, l.now())
		used[f.FD] = used[f.FD] || adopted && !f.Egress.IsValid() // the raw socket came apart
	}
	for fd, used := range used {
		if !used {
			unix.Close(fd)
		}
	}
	for _, l := range loops { // the file may have changed since they began
		l.table.reloaded(l.table.routes.Set(), l.now())
	}
}
