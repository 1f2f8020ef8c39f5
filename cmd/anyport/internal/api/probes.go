package api

import (
	"net/http"

	"anyport/cmd/anyport/internal/admin"
)

// livez answers whether the process works; a supervisor may restart one that does not.
func (a *API) livez(w http.ResponseWriter, _ *http.Request) { a.probe(w, a.service.Live()) }

// readyz answers whether a load balancer should send new conns here.
func (a *API) readyz(w http.ResponseWriter, _ *http.Request) { a.probe(w, a.service.Ready()) }

// probe answers with 200 or 503. The conn is closed after it: one that stays open would go on asking a
// process that an upgrade has replaced.
func (a *API) probe(w http.ResponseWriter, h admin.Health) {
	w.Header().Set("Connection", "close")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	if !h.OK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	a.write(w, h, nil)
}
