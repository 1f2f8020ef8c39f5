package api

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// pendingConns are the conns of a server with a request that has no answer yet, or that are about to
// send one. http.Server.Shutdown does not answer a request that it has only just read, so a client
// that asks while one process replaces another would get no answer.
type pendingConns struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newPending() *pendingConns { return &pendingConns{conns: map[net.Conn]bool{}} }

// noteState is for http.Server.ConnState.
func (p *pendingConns) noteState(conn net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		p.conns[conn] = true
	default:
		delete(p.conns, conn)
	}
}

func (p *pendingConns) none() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns) == 0
}

// pendingPoll is the time between two looks at whether all requests are answered.
const pendingPoll = 2 * time.Millisecond

// wait returns when every request has its answer, or when ctx is done.
func (p *pendingConns) wait(ctx context.Context) {
	for !p.none() && ctx.Err() == nil {
		time.Sleep(pendingPoll)
	}
}
