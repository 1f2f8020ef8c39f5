package proxy

import (
	"context"
	"fmt"

	"anyport/proxy/udp"
)

// handovers are the channels to the event loops of both kinds, which take one function at a time.
type handovers struct {
	conns chan func() error
	flows chan func([]udp.Flow) error
}

func newHandovers() handovers {
	return handovers{make(chan func() error), make(chan func([]udp.Flow) error)}
}

// HandOver calls give with all flows, while nothing is accepted, read or sent except for live conns. If
// give returns nil, another process serves the sockets and the flows from then on, and Serve returns
// once the last conn has ended or its drain timeout has cut it. After an error everything goes on as
// before. If the loops do not respond before ctx is done, that is an error too; ctx does not bound
// give.
func (s *Server) HandOver(ctx context.Context, give func([]udp.Flow) error) error {
	conns, flows := make(chan error, 1), make(chan error, 1)
	return pass(ctx, s.handovers.conns, conns, func() error {
		err := pass(ctx, s.handovers.flows, flows, func(all []udp.Flow) error {
			return report(flows, give(all))
		})
		if err == nil {
			close(s.handedOver)
		}
		return report(conns, err)
	})
}

// pass sends give to the loops, waits until they have called it, and returns the result that it sends.
func pass[T any](ctx context.Context, to chan<- T, result <-chan error, give T) error {
	select {
	case to <- give:
		return <-result
	case <-ctx.Done():
		return fmt.Errorf("the event loops are busy with something else: %w", ctx.Err())
	}
}

// report sends err to a channel that has room for it, and returns it.
func report(to chan<- error, err error) error {
	to <- err
	return err
}

// Adopt makes Serve begin with the flows of another process, each of which has passed its Check; their
// sockets then belong to Serve. connFiles is the number of files of that process's conns, for which
// Serve keeps room until AdoptConns is called with none. It must be called before Serve.
func (s *Server) Adopt(flows []udp.Flow, connFiles int) { s.flows, s.expected = flows, connFiles }
