package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// who may give an order on the admin socket. Root, in the user namespace of this process,
// may give each.
type who uint8

const (
	// owner is also the user that anyport runs as. Its processes can send signals, which
	// reload, upgrade and stop anyport, so a verb that does no more than that is theirs,
	// too. They have none of anyport's capabilities, so nothing may run, open or load what
	// they choose.
	owner who = iota
	onlyRoot
)

// A verb is what can be asked on the admin socket.
type verb struct {
	pattern string
	who     who
	root    []string // parameters that onlyRoot may set
	answer  func(*daemon, *http.Request) (any, error)
}

// verbs is the one place that says who may do what; all others are refused.
var verbs = []verb{
	{"GET /status", owner, nil, func(d *daemon, _ *http.Request) (any, error) { return d.status(), nil }},
	{"GET /flows", owner, nil, nil}, // written as it comes: flowsFor
	{"GET /explain", owner, nil, func(d *daemon, r *http.Request) (any, error) { return d.explain(r) }},
	{"GET /drift", owner, nil, func(d *daemon, _ *http.Request) (any, error) { return d.drift() }},
	{"POST /drain", owner, nil, func(d *daemon, r *http.Request) (any, error) { return d.drainFor(r) }},
	{"POST /reload", owner, nil, func(d *daemon, r *http.Request) (any, error) { return d.reloadFor(r) }},
	// A binary is run with anyport's capabilities; a file descriptor is a steering program,
	// or a map of one, that is put into service.
	{"POST /upgrade", owner, []string{"binary", "fd"}, func(d *daemon, r *http.Request) (any, error) { return d.upgradeFor(r) }},
}

// check says why a peer may not ask for this, or nil.
func (v verb) check(p peer, r *http.Request) error {
	if !p.may(v.who) {
		return fmt.Errorf("%s may not ask for %q: run the command as root", p, v.pattern)
	}
	query := r.URL.Query()
	sets := func(name string) bool { return strings.Join(query[name], "") != "" }
	if i := slices.IndexFunc(v.root, sets); i >= 0 && !p.may(onlyRoot) {
		return fmt.Errorf("%s may not name a %q with %q, which only root may: run the command as root", p, v.root[i], v.pattern)
	}
	if r.ContentLength != 0 {
		return errors.New("a request has no body")
	}
	return nil
}

// allowed answers those who may ask.
func (d *daemon) allowed(v verb, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := askedBy(r)
		if err := v.check(p, r); err != nil {
			d.log.Warn("refused on the admin socket", "verb", v.pattern, "uid", p.uid, "reason", err)
			w.Header().Set("Connection", "close")
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		patient(w, p, r)
		next(w, r)
	}
}

// patient lifts the server's time limits where a request may take longer: an order that
// waits for conns, or the list that root reads page by page. The answer to an order fits
// the socket's buffer, so nobody can hold it back.
func patient(w http.ResponseWriter, p peer, r *http.Request) {
	if p.root() || r.Method != http.MethodGet {
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Time{}) // fails where the conn has gone
		_ = c.SetWriteDeadline(time.Time{})
	}
}
