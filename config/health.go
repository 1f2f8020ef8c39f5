package config

import (
	"maps"
	"slices"
	"time"

	"anyport/config/habits"
)

// Health is one table of a health check: [health.NAME] or [route.NAME.health]. Two routes with equal
// checks of one origin share them.
type Health struct {
	Type     CheckType
	Interval time.Duration // from the start of a check to the start of the next, at most
	Timeout  time.Duration // of one check
	Rise     int           // checks in a row that an origin must pass to be up
	Fall     int           // and fail to be down
	Port     int           // 0: the origin's own
	Send     string        // tcp, udp: sent first
	Expect   string        // tcp, udp: the answer must begin with it
	Path     string        // http
	Header   ProxyProtocol // before the check: ProxyOff, ProxyV1, ProxyV2, or HeaderOfRoute
}

// HeaderOfRoute has a check begin with the header that the route's proxy_protocol says.
const HeaderOfRoute ProxyProtocol = "route"

// CheckType is what a health check does.
type CheckType string

// The types of checks.
const (
	CheckTCP  CheckType = "tcp"  // connect; then send and expect, if there are any
	CheckUDP  CheckType = "udp"  // send a datagram, and expect one
	CheckHTTP CheckType = "http" // GET; a status from 200 to 399
	CheckTLS  CheckType = "tls"  // a handshake
)

// readHealths reads the [health.NAME] tables, which routes name.
func readHealths(root *table) map[string]*Health {
	named := map[string]*Health{}
	all := root.open("health")
	for _, name := range slices.Sorted(maps.Keys(all.values)) {
		sub := all.open(name)
		sub.section = healthSection.kind
		if !routeName().MatchString(name) {
			all.faultKey(name, "the name of a check is 1 to 64 of a-z, 0-9, - and _: rename it")
		}
		named[name] = readCheck(sub)
	}
	return named
}

// readHealth reads the key health of r: a name, or a table.
func readHealth(t *table, r *Route) {
	name, isName := t.values["health"].(string)
	switch {
	case !t.has("health") || isName && name == "":
		r.Health = nil
	case isName:
		if r.Health = t.report.healths[name]; r.Health == nil {
			faultCheckName(t, name)
		}
	default:
		if sub := t.open("health"); sub.values != nil {
			r.Health = readCheck(sub)
		}
	}
}

// faultCheckName reports a name that no check of the file has.
func faultCheckName(t *table, name string) {
	near := closest(name, slices.Sorted(maps.Keys(t.report.healths)))
	if near == "" {
		t.fault("health", "there is no check of this name: write a [health.%s] table", name)
		return
	}
	at := t.report.at().Value(t.pathOf("health"))
	t.faultAt(at, "health", "there is no check of this name: did you mean "+habits.Quote(near)+"?").Fix = habits.Quote(near)
}

// readCheck reads the table of a check.
func readCheck(t *table) *Health {
	t.translate()
	h := healthSection.defaults
	healthSection.readInto(t, &h)
	t.reportUnknown()
	switch talks := h.Type == CheckTCP || h.Type == CheckUDP; {
	case !t.valid("type", "send", "expect", "path", "proxy_protocol"):
	case h.Type == CheckUDP && h.Expect == "":
		t.fault("expect", "is required for a check of type udp: only an answer shows that the origin is there")
	case !talks && h.Send != "":
		t.fault("send", "is only for checks of type tcp and udp: remove it")
	case !talks && h.Expect != "":
		t.fault("expect", "is only for checks of type tcp and udp: remove it")
	case h.Type != CheckHTTP && h.Path != healthSection.defaults.Path:
		t.fault("path", `is only for checks of type http: remove it, or write type = "http"`)
	case h.Type == CheckUDP && h.Header == ProxyV1:
		t.fault("proxy_protocol", `"v1" does not exist for udp: write "v2", "off" or "route"`)
	}
	return &h
}

// checkHealth checks what a route's check needs of its origins.
func checkHealth(t *table, r *Route) {
	if !r.Forwards() {
		t.fault("health", `action = %q has no origins to check: remove it, or write action = "forward"`, r.Action)
		return
	}
	for _, o := range r.Origins {
		if r.Health.Port == 0 && !o.SRV && (o.Ports.First == 0 || o.Ports.Width() > 1) { // SRV records have a port each
			t.fault("health", "origin %q has more than one port: write port = in the table of the check, for the one to check", o.Text)
			return
		}
	}
}
