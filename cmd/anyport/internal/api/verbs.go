package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"anyport/config"
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
	answer  func(*API, http.ResponseWriter, *http.Request)
}

// verbs is the only list of what each user may ask for; everything else is refused.
var verbs = []verb{
	{"GET /openapi.json", groupToo, nil, (*API).openAPI},
	{"GET /livez", groupToo, nil, (*API).livez},
	{"GET /readyz", groupToo, nil, (*API).readyz},
	{"GET /about", groupToo, nil, object((*API).about)},
	{"GET /status", groupToo, nil, (*API).status},
	{"GET /flows", groupToo, nil, (*API).flows},
	{"GET /trace", groupToo, nil, (*API).trace},
	{"GET /explain", groupToo, nil, object((*API).explain)},
	{"GET /scans", groupToo, nil, object((*API).scans)},
	{"GET /drift", groupToo, nil, object((*API).drift)},
	{"GET /sysdump", ownerToo, nil, object((*API).sysdump)}, // the log tells more than the status
	{"POST /kill", ownerToo, nil, object((*API).kill)},
	{"POST /drain", ownerToo, nil, object((*API).drain)},
	{"POST /confirm", ownerToo, nil, object((*API).confirm)},
	{"POST /origin", ownerToo, nil, object((*API).origin)},
	// A binary is run with anyport's capabilities; a file descriptor is a program, or a map of one, that is
	// put into service.
	{"POST /reload", ownerToo, []string{"fd"}, object((*API).reload)},
	{"POST /upgrade", ownerToo, []string{"binary", "fd"}, object((*API).upgrade)},
}

// object answers with the JSON of what f returns, or with the reason of a refusal.
func object[T any](f func(*API, *http.Request) (T, error)) func(*API, http.ResponseWriter, *http.Request) {
	return func(a *API, w http.ResponseWriter, r *http.Request) {
		value, err := f(a, r)
		if err != nil && isWrite(r) {
			a.log.Info("refused an order", "order", orderOf(r), "because", config.Detail(err))
		}
		a.write(w, value, err)
	}
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
		return errors.New("a request has no body: write the parameters into the URL")
	}
	return nil
}

// allowed calls next for peers that may ask, and refuses the others.
func (a *API) allowed(v verb, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p := peerOf(r)
		if err := v.check(p, r); err != nil {
			a.log.Warn("refused a request on the admin socket", "verb", v.pattern, "uid", p.uid, "because", err)
			w.Header().Set("Connection", "close")
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		if isWrite(r) {
			a.log.Info("took an order", "order", orderOf(r), "uid", p.uid, "gid", p.gid, "pid", p.pid)
		}
		liftTimeouts(w, p, r)
		next(w, r)
	}
}

// isWrite reports whether a request is an order, which the log has to have. A dry run is one by its verb.
func isWrite(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// mostLogged bounds what the log gets of a request, in bytes: the ids of a kill may be many.
const mostLogged = 500

// orderOf is a request in the log: "POST /drain?route=web".
func orderOf(r *http.Request) string {
	text := r.Method + " " + r.URL.RequestURI()
	if len(text) > mostLogged {
		text = text[:mostLogged] + "…"
	}
	return text
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
