package config

import (
	"strings"
	"time"
)

// healthKeys say when an origin gets nothing new, and what happens to what it has.
var healthKeys = []key[Route]{
	valueKey("slow_start", `"0s"`, duration("0s", "24h"), func(r *Route) *time.Duration { return &r.SlowStart }, ``).under(`
An origin is up until its checks fail (see [route.NAME.health] below), or an operator says otherwise
(anyport origin). Without checks too, an origin that fails 3 dials in a row is ejected: new conns
leave it out for 1s, and for twice as long each time it goes on failing, up to 30s. Never more than
half of a route's origins are ejected at once. A conn whose origin refuses or does not answer within
connect_timeout tries up to 3 others, unless a byte was relayed.

slow_start, 0s to 24h: an origin that comes back gets a share that grows, to all of its own after
this long.`),
	valueKey("panic_threshold", `0`, integer(0, 100), func(r *Route) *int { return &r.PanicThreshold },
		`0 to 100 percent: if fewer of the origins are up than this, all are picked from, except those that are down or drain by hand`),
	valueKey("on_all_down", `"try"`, oneOf(TryAll, RefuseAll), func(r *Route) *AllDown { return &r.OnAllDown },
		`no origin is up: try (them all), refuse (the kernel refuses new conns until one is up; datagrams that would begin a flow are dropped)`),
	valueKey("on_down", `"keep"`, oneOf(KeepConns, CloseConns), func(r *Route) *OnDown { return &r.OnDown },
		`conns of an origin that went down: keep, close (they are reset); and flows: keep, close (the next datagram picks another origin)`),
	valueKey("max_age", `""`, orEmpty(duration("1s", "8760h")), func(r *Route) *time.Duration { return &r.MaxAge },
		`1s to 8760h, give or take a tenth: a conn is reset at this age, so that its client comes back to whichever origin serves then; "": never`),
	{
		row:   row{name: "health", shape: either(pattern(`[a-z0-9_-]{0,64}`), ref("health"))},
		read:  readHealth,
		print: func(r *Route) string { return printHealth(r.Health) },
	},
}

var healthSection = newSection("health",
	valueKey("type", `"tcp"`, oneOf(CheckTCP, CheckUDP, CheckHTTP, CheckTLS), func(h *Health) *CheckType { return &h.Type },
		`tcp (connect), udp (an answer), http (GET: a status from 200 to 399), tls (a handshake; the certificate is not verified)`),
	valueKey("interval", `"10s"`, duration("100ms", "1h"), func(h *Health) *time.Duration { return &h.Interval },
		`100ms to 1h: from one check to the next, up to a tenth less at random`),
	valueKey("timeout", `"2s"`, duration("1ms", "1h"), func(h *Health) *time.Duration { return &h.Timeout },
		`1ms to 1h: of one check; never longer than interval`),
	valueKey("rise", `2`, integer(1, 1000), func(h *Health) *int { return &h.Rise },
		`1 to 1000: checks in a row that an origin must pass to be up again`),
	valueKey("fall", `3`, integer(1, 1000), func(h *Health) *int { return &h.Fall },
		`1 to 1000: and fail to be down; the first check ever takes it down alone`),
	valueKey("port", `0`, integer(0, 65535), func(h *Health) *int { return &h.Port },
		`1 to 65535; 0: the origin's own, so required where origins have more than one`).shown(`8080`),
	valueKey("send", `""`, payload, func(h *Health) *string { return &h.Send },
		`tcp, udp: sent first; "hex:6162" for bytes`),
	valueKey("expect", `""`, payload, func(h *Health) *string { return &h.Expect },
		`tcp, udp: the answer must begin with it; required for udp`),
	valueKey("path", `"/"`, httpPath, func(h *Health) *string { return &h.Path },
		`http: what is asked for; the Host is the origin's address`),
	valueKey("proxy_protocol", `"route"`, oneOf(HeaderOfRoute, ProxyOff, ProxyV1, ProxyV2), func(h *Health) *ProxyProtocol { return &h.Header },
		`the header before a check: route (as the route's), off, v1, v2. It says that the check is of the proxy itself: LOCAL in v2, UNKNOWN in v1`),
)

// printHealth is a check as a table in one line.
func printHealth(h *Health) string {
	if h == nil {
		return `""`
	}
	var keys []string
	for _, k := range healthSection.keys {
		keys = append(keys, k.name+" = "+k.print(h))
	}
	return "{ " + strings.Join(keys, ", ") + " }"
}
