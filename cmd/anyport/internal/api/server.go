package api

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// timeouts bound how long a client may take. Orders on the admin socket may take longer: see
// liftTimeouts.
type timeouts struct {
	header  time.Duration // to send the header of a request
	request time.Duration // to send the request and to read the answer
	idle    time.Duration // between two requests
}

var usualTimeouts = timeouts{header: admin.Timeout, request: time.Minute, idle: time.Minute}

// mostHeader bounds the header of a request, in bytes.
const mostHeader = 16 << 10

// stopTimeout is how long stop waits for the answers that are still being written.
const stopTimeout = 5 * time.Second

// serve answers on listener until stop is called. The order in stop matters: it first
// accepts nothing new, then answers the requests that were read, and then closes the idle conns.
func serve(limits timeouts, listener net.Listener, handler http.Handler, log *log.Logger, failed chan<- error) (stop func()) {
	bounded, pending := limitConns(listener, mostConns), newPending()
	server := &http.Server{
		Handler: handler, ErrorLog: log, ConnContext: keepConn,
		ConnState: func(conn net.Conn, state http.ConnState) {
			bounded.noteState(conn, state)
			pending.noteState(conn, state)
		},
		ReadHeaderTimeout: limits.header, ReadTimeout: limits.request, WriteTimeout: limits.request,
		IdleTimeout: limits.idle, MaxHeaderBytes: mostHeader,
	}
	ended := make(chan struct{})
	go func() { // ended by stop
		defer close(ended)
		if err := server.Serve(bounded); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			failed <- err
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		_ = listener.Close() // fails if it is closed already
		<-ended              // the last conn that was accepted is noted
		pending.wait(ctx)
		if server.Shutdown(ctx) != nil {
			server.Close() // the answer is not read in time
		}
	}
}
