package proxy

import (
	"context"
	"fmt"

	"anyport/proxy/tcp"
)

// moves are the channels for conns from and to the event loops.
type moves struct {
	away  chan tcp.Move   // to another process
	here  chan []tcp.Conn // from another process
	ended chan struct{}   // closed once all loops have ended
}

func newMoves() moves {
	return moves{make(chan tcp.Move), make(chan []tcp.Conn), make(chan struct{})}
}

// MoveConns moves all conns to another process: it calls give with some of them at a time, as
// [tcp.Move] says, and returns its first error. Conns that are left then go on here. If the loops do
// not respond before ctx is done, that is an error too; ctx does not bound give.
func (s *Server) MoveConns(ctx context.Context, give func([]tcp.Conn) error) error {
	over := make(chan error, 1)
	select {
	case s.moves.away <- tcp.Move{Give: give, Over: func(err error) { over <- err }}:
		return <-over
	case <-s.moves.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the event loops are busy with something else: %w", ctx.Err())
	}
}

// AdoptConns makes Serve continue conns of another process, each of which has passed its Check. It
// waits until Serve takes them; their FDs then belong to Serve. After the end of Serve it closes them.
// A call with no conns says that no more will come.
func (s *Server) AdoptConns(conns []tcp.Conn) {
	select {
	case s.moves.here <- conns:
	case <-s.moves.ended:
		for i := range conns {
			conns[i].Close()
		}
	}
}
