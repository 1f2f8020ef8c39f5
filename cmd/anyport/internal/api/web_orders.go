package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Over HTTP nobody says who asks. What a browser may be made to send is refused here: a page of
// another server can post a form, or fetch without reading the answer, under an address of this host.
// It cannot set a header of its own without asking first (the preflight of CORS), which is never
// answered as it would need.

// writeHeader is the header that an order over HTTP has to have, with the value 1.
const writeHeader = "Anyport-Write"

// webVerbs are the verbs that admin.http has: all but those with parameters that are root's, and questions that
// not even the members of admin.group may ask.
func webVerbs() []verb {
	return slices.DeleteFunc(slices.Clone(verbs), func(v verb) bool {
		return len(v.root) > 0 || v.right != groupToo && strings.HasPrefix(v.pattern, http.MethodGet)
	})
}

// webPath is the path of a verb under admin.http. The probes have the paths that are usual.
func webPath(path string) string {
	if path == "/livez" || path == "/readyz" {
		return path
	}
	return "/api" + path
}

// costly are the questions that may take seconds of CPU, with a million prefixes.
var costly = map[string]bool{"/explain": true, "/drift": true}

// oneAtATime refuses a request while another one is answered, so that clients without a password
// cannot keep more than one core busy.
func (a *API) oneAtATime(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !a.costly.TryLock() {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "another request that takes long is being answered: ask again", http.StatusTooManyRequests)
			return
		}
		defer a.costly.Unlock()
		next(w, r)
	}
}

// webOrder passes on orders that admin.http_writes allows, and that no page of a browser has sent.
func (a *API) webOrder(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := checkOrder(r.Header, a.service.Admin().HTTPWrites); err != nil {
			a.log.Warn("refused an order on admin.http", "order", orderOf(r), "client", r.RemoteAddr, "because", err)
			w.Header().Set("Connection", "close")
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		a.log.Info("took an order", "order", orderOf(r), "client", r.RemoteAddr)
		liftTimeouts(w, peer{uid: -1}, r)
		next(w, r)
	}
}

// checkOrder says why an order with this header is refused, or nil.
func checkOrder(header http.Header, writes bool) error {
	site := header.Get("Sec-Fetch-Site") // a page cannot set it
	switch {
	case !writes:
		return errors.New("admin.http takes no orders: use the command, or set admin.http_writes = true")
	case header.Get(writeHeader) != "1":
		return fmt.Errorf("an order needs the header %q", writeHeader+": 1")
	case site != "" && site != "same-origin" && site != "none":
		return fmt.Errorf("the Sec-Fetch-Site header has %q: pages of other servers may not give orders", site)
	}
	return nil
}

// withoutBody refuses a request with a body before it is read: all parameters are in the URL.
func withoutBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close")
			http.Error(w, "a request has no body: write the parameters into the URL", http.StatusRequestEntityTooLarge)
			return
		}
		next.ServeHTTP(w, r)
	})
}
