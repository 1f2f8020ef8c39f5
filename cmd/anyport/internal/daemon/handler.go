package daemon

import (
	"context"
	"encoding/json"
	"net/http"

	"anyport/cmd/anyport/internal/admin"
	"anyport/config"
)

// handler answers on the admin socket. An answer is one JSON object; a refusal is its
// reason as text.
func (d *daemon) handler() http.Handler {
	mux := http.NewServeMux()
	for _, v := range verbs {
		answer := d.flowsFor
		if v.answer != nil {
			answer = func(w http.ResponseWriter, r *http.Request) {
				value, err := v.answer(d, r)
				d.answer(w, value, err)
			}
		}
		mux.HandleFunc(v.pattern, d.allowed(v, answer))
	}
	return mux
}

func (d *daemon) drift() (admin.Drift, error) {
	lines, err := d.steering.Drift()
	return admin.Drift{Lines: append([]string{}, lines...)}, err // [] in JSON, never null
}

func (d *daemon) reloadFor(r *http.Request) (admin.Reloaded, error) {
	if set(r, "dry_run") { // changes nothing, and so waits for nobody
		return d.compare()
	}
	type outcome struct {
		reloaded admin.Reloaded
		err      error
	}
	told := make(chan outcome, 1)
	err := d.decide(r.Context(), func() error {
		d.reload(func(reloaded admin.Reloaded, err error) { told <- outcome{reloaded, err} })
		return nil
	})
	if err != nil {
		return admin.Reloaded{}, err
	}
	o := <-told
	return o.reloaded, o.err
}

// upgradeFor upgrades, with what the request brings.
func (d *daemon) upgradeFor(r *http.Request) (u admin.Upgraded, err error) {
	spare, err := passed(r)
	if err != nil {
		return u, err
	}
	defer spare.Close()
	binary, err := d.binary(choice{path: r.FormValue("binary"), root: askedBy(r).root()})
	if err != nil {
		return u, err
	}
	told := make(chan error, 1)
	err = d.decide(r.Context(), func() error {
		return d.beginUpgrade(binary, spare, func(upgraded admin.Upgraded, err error) {
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
func (d *daemon) drainFor(r *http.Request) (admin.Drained, error) {
	route := r.FormValue("route")
	err := d.decide(r.Context(), func() error { return d.drain(route, !set(r, "undo")) })
	if err == nil && set(r, "wait") {
		err = d.await(r.Context(), route)
	}
	if err != nil {
		return admin.Drained{}, err
	}
	return d.drained(route), nil
}

// set reports whether a switch of the request is on.
func set(r *http.Request, name string) bool { return r.FormValue(name) == "1" }

// answer writes value, or what stands in its way.
func (d *daemon) answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		http.Error(w, config.Detail(err), http.StatusConflict)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(value); err != nil {
		d.log.Debug("an answer was not taken", "error", err)
	}
}

// decide has what runs on the goroutine that decides, and returns once it has, ctx is done or that
// goroutine has ended.
func (d *daemon) decide(ctx context.Context, what func() error) error {
	done := make(chan error, 1)
	select {
	case d.decisions <- func() { done <- what() }:
		return <-done
	case <-d.decided:
		return errStopping
	case <-ctx.Done():
		return ctx.Err()
	}
}
