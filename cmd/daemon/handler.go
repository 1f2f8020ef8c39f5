package daemon

import (
	"context"
	"encoding/json"
	"net/http"
)

// handler answers on the admin socket. An answer is one JSON object; a refusal is its
// reason as text.
func (d *daemon) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		d.answer(w, d.status(), nil)
	})
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		var reloaded Reloaded
		err := d.decide(r.Context(), func() (err error) {
			reloaded, err = d.reload(set(r, "dry_run"))
			return err
		})
		d.answer(w, reloaded, err)
	})
	return mux
}

// set reports whether a switch of the request is on.
func set(r *http.Request, name string) bool { return r.FormValue(name) == "1" }

// answer writes value, or what stands in its way.
func (d *daemon) answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		d.log.Debug("an answer was not taken", "error", err)
	}
}

// decide has what runs on the goroutine that decides, and returns once it has. When
// that goroutine has ended, the admin socket's server ends ctx.
func (d *daemon) decide(ctx context.Context, what func() error) error {
	done := make(chan error, 1)
	select {
	case d.decisions <- func() { done <- what() }:
		return <-done
	case <-ctx.Done():
		return ctx.Err()
	}
}
