package daemon

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// asked are the conns of a server that have asked something, or are about to. Its Shutdown
// answers no more what it has only just read, so who asks while processes follow each other
// would hear nothing.
type asked struct {
	mu    sync.Mutex
	conns map[net.Conn]bool
}

// note is the server's ConnState.
func (a *asked) note(conn net.Conn, state http.ConnState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		a.conns[conn] = true
	default:
		delete(a.conns, conn)
	}
}

func (a *asked) none() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.conns) == 0
}

// askedPoll is how often it is looked whether all have their answers.
const askedPoll = 2 * time.Millisecond

// answered returns once all have their answers, or ctx is done.
func (a *asked) answered(ctx context.Context) {
	for !a.none() && ctx.Err() == nil {
		time.Sleep(askedPoll)
	}
}
