package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"anyport/config"
)

// A page of the web can point a name of its own at an address of this host and have a
// browser ask here under that name, as if it were the page's own server (DNS rebinding).
// An address as Host, localhost and this host's own names cannot be such a name.

// sameSite refuses requests under a name that is not this host's, and from the pages of
// other servers.
func sameSite(settings func() config.Admin, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkSite(r, settings().HTTPHosts); err != nil {
			w.Header().Set("Connection", "close")
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// checkSite judges the two headers that a browser sets and a page cannot choose.
func checkSite(r *http.Request, names []string) error {
	host := hostOf(r.Host)
	if !ownName(host, names) {
		return fmt.Errorf("the Host header has %q: ask by address, as localhost, by this host's name, or by one that admin.http_hosts has", r.Host)
	}
	origin := r.Header.Get("Origin")
	if origin == "" { // no page asks, or one of ours
		return nil
	}
	if u, err := url.Parse(origin); err != nil || !strings.EqualFold(u.Host, r.Host) {
		return fmt.Errorf("the Origin header has %q: pages of other servers may not ask here", origin)
	}
	return nil
}

// hostOf is a Host header without its port.
func hostOf(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
}

// ownName reports whether host can only mean this host: an address, localhost, its hostname, or a name of
// admin.http_hosts.
func ownName(host string, names []string) bool {
	if _, err := netip.ParseAddr(host); err == nil || strings.EqualFold(host, "localhost") {
		return true
	}
	own, err := os.Hostname()
	same := func(name string) bool { return host != "" && strings.EqualFold(host, name) }
	return err == nil && same(own) || slices.ContainsFunc(names, same)
}
