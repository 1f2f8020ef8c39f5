package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// right is what a peer of the admin socket must have. Root, in the user namespace of this process,
// has every right.
type right uint8

const (
	// groupToo is also the right of the members of admin.group: to ask for what changes nothing.
	groupToo right = iota
	// ownerToo is also the right of the user that anyport runs as. Its processes can send signals,
	// which reload, upgrade and stop anyport, so they may ask for whatever does no more than that.
	// They have none of anyport's capabilities, so they must not choose what it runs, opens or loads.
	ownerToo
	rootOnly
)

// verb is something that can be asked on the admin socket.
type verb struct {
	pattern string // of http.ServeMux
	right   right
	root    []string // parameters that only root may set
	answer  func(*API, *http.Request) (any, error)
}

// verbs is the only list of what each user may ask for; everything else is refused.
var verbs = []verb{
	{"GET /status", groupToo, nil, func(a *API, _ *http.Request) (any, error) { return a.service.Status(), nil }},
	{"GET /flows", groupToo, nil, nil}, // written page by page: API.flows
	{"GET /explain", groupToo, nil, func(a *API, r *http.Request) (any, error) { return a.explain(r) }},
	{"GET /drift", groupToo, nil, func(a *API, _ *http.Request) (any, error) { return a.service.Drift() }},
	{"POST /kill", ownerToo, nil, func(a *API, r *http.Request) (any, error) { return a.kill(r) }},
	{"POST /drain", ownerToo, nil, func(a *API, r *http.Request) (any, error) {
		return a.service.Drain(r.Context(), r.FormValue("route"), isSet(r, "undo"), isSet(r, "wait"))
	}},
	{"POST /confirm", ownerToo, nil, func(a *API, r *http.Request) (any, error) { return a.service.Confirm(r.Context()) }},
	{"POST /origin", ownerToo, nil, func(a *API, r *http.Request) (any, error) { return a.origin(r) }},
	{"POST /reload", ownerToo, nil, func(a *API, r *http.Request) (any, error) {
		return a.service.Reload(r.Context(), isSet(r, "dry_run"))
	}},
	// A binary is run with anyport's capabilities; a file descriptor is a steering program, or a map
	// of one, that is put into service.
	{"POST /upgrade", ownerToo, []string{"binary", "fd"}, func(a *API, r *http.Request) (any, error) { return a.upgrade(r) }},
}

// check says why a peer may not ask for this, or nil.
func (v verb) check(p peer, r *http.Request) error {
	if !p.may(v.right) {
		return fmt.Errorf("%s may not ask for %q: run the command as root", p, v.pattern)
	}
	query := r.URL.Query()
	sets := func(name string) bool { return strings.Join(query[name], "") != "" }
	if i := slices.IndexFunc(v.root, sets); i >= 0 && !p.may(rootOnly) {
		return fmt.Errorf("%s may not name a %q with %q, which only root may: run the command as root", p, v.root[i], v.pattern)
	}
	if r.ContentLength != 0 {
		return errors.New("a request has no body")
	}
	return nil
}

// allowed calls next for peers that may ask, and refuses the others.
func (a *API) allowed(v verb, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := peerOf(r)
		if err := v.check(p, r); err != nil {
			a.log.Warn("refused on the admin socket", "verb", v.pattern, "uid", p.uid, "reason", err)
			w.Header().Set("Connection", "close")
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		liftTimeouts(w, p, r)
		next(w, r)
	}
}

// liftTimeouts lifts the server's timeouts for requests that may take longer: an order, which waits
// for conns or for a file, and the list that root reads page by page. The answer to an order fits
// into the socket's buffer, so a client that does not read it holds up nothing.
func liftTimeouts(w http.ResponseWriter, p peer, r *http.Request) {
	if p.root() || r.Method != http.MethodGet {
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Time{}) // fails if the conn is closed
		_ = c.SetWriteDeadline(time.Time{})
	}
}
