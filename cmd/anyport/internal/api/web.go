package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/dashboard"
	"anyport/cmd/anyport/internal/privileges"
)

// ListenWeb listens on the address of admin.http. owner is the account that this process is going to
// be, or nil.
func ListenWeb(address string, owner *privileges.Account) (net.Listener, error) {
	listen := net.ListenConfig{Control: reusePort(owner)}
	listen.SetMultipathTCP(false) // fchown would not reach the inner socket of MPTCP
	listener, err := listen.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("admin.http: %w", err)
	}
	return listener, nil
}

// reusePort lets the next process of an upgrade listen before this one has ended. For SO_REUSEPORT
// the kernel wants both sockets to belong to one user, so this one gets the user to be.
func reusePort(owner *privileges.Account) func(_, _ string, c syscall.RawConn) error {
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

// webHandler answers on admin.http. Nothing can be changed there, so nobody has to log in.
func (a *API) webHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", dashboard.Serve)
	mux.HandleFunc("GET /api/status", func(w http.ResponseWriter, _ *http.Request) { a.write(w, a.service.Status(), nil) })
	mux.HandleFunc("GET /api/flows", a.flows)
	mux.Handle("GET /api/events", a.events)
	mux.HandleFunc("GET /api/ports", func(w http.ResponseWriter, r *http.Request) {
		m, err := a.portMap(r)
		a.write(w, m, err)
	})
	mux.Handle("GET /metrics", a.metrics())
	return sameSite(a.service.HTTPHosts, mux)
}

// metrics serves the status in the names of Prometheus.
func (a *API) metrics() http.Handler {
	// Compression would cost more of a core than all the rest, for a scrape that usually stays on the host.
	return promhttp.HandlerFor(newGatherer(a.service.Status), promhttp.HandlerOpts{ErrorLog: a.plainLog, DisableCompression: true})
}
