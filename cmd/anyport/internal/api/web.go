package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/dashboard"
	"anyport/cmd/anyport/internal/privileges"
	"anyport/docs"
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

// webHandler answers on admin.http: to everybody, so it takes orders only where the file says so.
func (a *API) webHandler() http.Handler {
	mux := http.NewServeMux()
	for _, v := range webVerbs() {
		method, path, _ := strings.Cut(v.pattern, " ")
		answer := func(w http.ResponseWriter, r *http.Request) { v.answer(a, w, r) }
		switch {
		case method != http.MethodGet:
			answer = a.webOrder(answer)
		case costly[path]:
			answer = a.oneAtATime(answer)
		}
		mux.HandleFunc(method+" "+webPath(path), answer)
	}
	for pattern, handler := range a.webOnly() {
		mux.Handle(pattern, handler)
	}
	return sameSite(a.service.Admin, withoutBody(mux))
}

// webOnly is what admin.http has and the admin socket has not.
func (a *API) webOnly() map[string]http.Handler {
	return map[string]http.Handler{
		"GET /{$}":        http.HandlerFunc(dashboard.Serve),
		"GET /metrics":    a.metrics(),
		"GET /api/events": a.events,
		"GET /api/ports":  http.HandlerFunc(a.ports),
	}
}

// ports answers with what the ports of a prefix are.
func (a *API) ports(w http.ResponseWriter, r *http.Request) {
	m, err := a.portMap(r)
	a.write(w, m, err)
}

// openAPI answers with the description of all this.
func (a *API) openAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(docs.OpenAPI) // fails if the client is gone
}

// metrics serves the status in the names of Prometheus.
func (a *API) metrics() http.Handler {
	// Compression would cost more of a core than all the rest, for a scrape that usually stays on the host.
	return promhttp.HandlerFor(newGatherer(a.service.Status), promhttp.HandlerOpts{ErrorLog: a.plainLog, DisableCompression: true})
}
