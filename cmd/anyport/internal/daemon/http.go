package daemon

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/config"
	"anyport/steering"
)

// openHTTP listens on admin.http, which may be a port that takes a capability.
func (d *daemon) openHTTP() error {
	address := d.opt.Config.Admin.HTTP
	if address == "" {
		return nil
	}
	listen := net.ListenConfig{Control: shared(d.account)}
	listen.SetMultipathTCP(false) // whose inner socket keeps its first user
	listener, err := listen.Listen(context.Background(), "tcp", address)
	if err != nil {
		return fmt.Errorf("admin.http: %w", err)
	}
	d.web = listener
	d.closers = append(d.closers, func() error { return closed(listener.Close()) })
	if !netip.MustParseAddrPort(address).Addr().IsLoopback() {
		d.log.Warn("admin.http is not on loopback: whoever reaches it may read it, without a password", "address", address)
	}
	return nil
}

// shared lets the next process listen before this one has ended, in an upgrade. The kernel
// lets processes of the socket's own user do so, who is this one or the one to be.
func shared(owner *privileges.Account) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		control := c.Control(func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err == nil && owner != nil {
				err = unix.Fchown(int(fd), owner.UID, owner.GID)
			}
		})
		return errors.Join(control, err)
	}
}

// closed forgives that a listener's server has closed it already.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// checkHTTP refuses an admin.http that the steering would take the conns from.
func checkHTTP(c *config.Config, table *steering.Table) error {
	if c.Admin.HTTP == "" {
		return nil
	}
	address := netip.MustParseAddrPort(c.Admin.HTTP)
	if d := table.Decide(config.TCP, address, netip.Addr{}); d.Verdict != steering.Pass {
		return c.Locate(config.Problems{{File: c.Path, Key: "admin.http",
			Text: fmt.Sprintf("%s lies in %s, which is served: nobody would reach it; choose another address, or a route with action = \"pass\"", address, d.Prefix)}})
	}
	return nil
}

// webHandler answers on admin.http. Nothing can be changed there.
func (d *daemon) webHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", serveDashboard)
	mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, _ *http.Request) { d.answer(w, d.status(), nil) })
	mux.HandleFunc("GET /api/flows", d.flowsFor)
	mux.Handle("GET /metrics", d.metrics())
	return sameSite(func() []string { return d.serving.Load().config.Admin.HTTPHosts }, mux)
}

//go:embed dashboard.html
var dashboard []byte

// serveDashboard allows the page what it holds itself, and to ask here.
func serveDashboard(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	_, _ = w.Write(dashboard) // who does not take it has gone
}

// metrics are the status, and what Go and the kernel say of the process.
func (d *daemon) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{d.status})
	prometheus.WrapRegistererWithPrefix("anyport_", registry).MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: d.plainLog()})
}

// patience bounds the time that a client takes. Orders on the admin socket may take longer:
// see patient.
type patience struct {
	header  time.Duration // to ask
	request time.Duration // to ask, and to take the answer
	idle    time.Duration // between two requests
}

var usualPatience = patience{header: admin.Timeout, request: time.Minute, idle: time.Minute}

// mostHeader bounds the header of a request, in bytes.
const mostHeader = 16 << 10

// plainLog is for packages that would else write to stderr themselves, and wait for its reader.
func (d *daemon) plainLog() *log.Logger { return slog.NewLogLogger(d.log.Handler(), slog.LevelWarn) }

// serveHTTP is ended by the stop that it returns.
func serveHTTP(listener net.Listener, handler http.Handler, log *log.Logger, failed chan<- error) (stop func()) {
	return serveWithin(usualPatience, listener, handler, log, failed)
}

func serveWithin(p patience, listener net.Listener, handler http.Handler, log *log.Logger, failed chan<- error) (stop func()) {
	bounded, asked := newGate(listener, mostGuests), asked{conns: map[net.Conn]bool{}}
	server := &http.Server{
		Handler: handler, ErrorLog: log, ConnContext: keepConn,
		ConnState: func(conn net.Conn, state http.ConnState) {
			bounded.noteState(conn, state)
			asked.note(conn, state)
		},
		ReadHeaderTimeout: p.header, ReadTimeout: p.request, WriteTimeout: p.request,
		IdleTimeout: p.idle, MaxHeaderBytes: mostHeader,
	}
	ended := make(chan struct{})
	go func() { // ended by stop
		defer close(ended)
		if err := server.Serve(bounded); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			failed <- err
		}
	}()
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), admin.Timeout)
		defer cancel()
		_ = listener.Close() // fails where it is closed already
		<-ended              // the last conn that was accepted is noted
		asked.answered(ctx)
		if server.Shutdown(ctx) != nil { // who asked for the last thing shall hear of it
			server.Close()
		}
	}
}
