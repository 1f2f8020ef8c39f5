package proxy

import (
	"context"
	"fmt"

	"anyport/proxy/tcp"
)

// moves are the ways of conns from and to the event loops.
type moves struct {
	away  chan tcp.Move
	here  chan []tcp.Conn
	ended chan struct{} // closed once there are no loops any more
}

func newMoves() moves {
	return moves{make(chan tcp.Move), make(chan []tcp.Conn), make(chan struct{})}
}

// MoveConns has all conns that there are served by another process: it calls give with
// some of them at a time, as [tcp.Move] says, and returns its first error. What is left
// then goes on here. Loops that have not come by the end of ctx are an error too; ctx
// does not bound give.
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

// AdoptConns has Serve go on with conns of another process, each of which has passed its
// Check. Their FDs are Serve's, for which it waits; after its end they are closed. None
// at all says that no more will come.
func (s *Server) AdoptConns(conns []tcp.Conn) {
	select {
	case s.moves.here <- conns:
	case <-s.moves.ended:
		for i := range conns {
			conns[i].Close()
		}
	}
}
