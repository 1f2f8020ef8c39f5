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
	mux.HandleFunc("GET /drift", func(w http.ResponseWriter, _ *http.Request) {
		lines, err := d.steering.Drift()
		d.answer(w, Drift{Lines: append([]string{}, lines...)}, err) // [] in JSON, never null
	})
	mux.HandleFunc("GET /flows", d.flowsFor)
	mux.HandleFunc("POST /reload", func(w http.ResponseWriter, r *http.Request) {
		var reloaded Reloaded
		load := func(dry bool) (err error) {
			reloaded, err = d.reload(dry)
			return err
		}
		if set(r, "dry_run") { // changes nothing, and so waits for nobody
			err := load(true)
			d.answer(w, reloaded, err)
			return
		}
		err := d.decide(r.Context(), func() error { return load(false) })
		d.answer(w, reloaded, err)
	})
	mux.HandleFunc("POST /upgrade", func(w http.ResponseWriter, r *http.Request) {
		upgraded, err := d.upgradeFor(r)
		d.answer(w, upgraded, err)
	})
	mux.HandleFunc("POST /drain", func(w http.ResponseWriter, r *http.Request) {
		drained, err := d.drainFor(r)
		d.answer(w, drained, err)
	})
	mux.HandleFunc("GET /explain", func(w http.ResponseWriter, r *http.Request) {
		explained, err := d.explain(r)
		d.answer(w, explained, err)
	})
	return mux
}

// upgradeFor upgrades, with what the request brings.
func (d *daemon) upgradeFor(r *http.Request) (u Upgraded, err error) {
	spare, err := passed(r)
	if err != nil {
		return u, err
	}
	defer spare.Close()
	told := make(chan error, 1)
	err = d.decide(r.Context(), func() error {
		return d.beginUpgrade(r.FormValue("binary"), spare, func(upgraded Upgraded, err error) {
			u = upgraded
			told <- err
		})
	})
	if err != nil {
		return u, err
	}
	return u, <-told
}

// drainFor drains, or undoes it, and waits for the last conn if asked to.
func (d *daemon) drainFor(r *http.Request) (Drained, error) {
	route := r.FormValue("route")
	err := d.decide(r.Context(), func() error { return d.drain(route, !set(r, "undo")) })
	if err == nil && set(r, "wait") {
		err = d.await(r.Context(), route)
	}
	if err != nil {
		return Drained{}, err
	}
	return d.drained(route), nil
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
