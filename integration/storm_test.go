package integration

import (
	"net"
	"testing"
	"time"
)

// The two tables of the storm. Routes come and go, change their origin, get an
// exception by a longer prefix, and one stays as it is.
const (
	stormRoutes = `
[listen]
udp_receive_buffer = "16MiB"
[defaults]
udp_idle_timeout = "1s" # each question is a flow of its own
[route.same]
protocol = ["tcp", "udp"]
prefixes = ["198.18.0.0/16", "2001:db8:1::/48"]
ports    = [80]
origins  = ["10.0.0.5:4000"]
[route.both]
protocol = ["tcp", "udp"]
prefixes = ["198.18.0.0/16", "2001:db8:1::/48"]
ports    = ["1000-1999"]
`
	evenTable = stormRoutes + `
origins  = ["10.0.0.5:4001"]
[route.even]
protocol = ["tcp", "udp"]
prefixes = ["198.18.0.0/16", "2001:db8:1::/48"]
ports    = [81]
origins  = ["10.0.0.5:4001"]
[route.gone]
protocol = ["tcp", "udp"]
prefixes = ["198.19.0.0/16", "2001:db8:2::/48"]
origins  = ["10.0.0.5:4001"]
`
	oddTable = stormRoutes + `
origins  = ["10.0.0.5:4002"]
[route.odd]
protocol = ["tcp", "udp"]
prefixes = ["198.18.0.0/16", "2001:db8:1::/48"]
ports    = [82]
origins  = ["10.0.0.5:4002"]
[route.narrow]
protocol = ["tcp", "udp"]
prefixes = ["198.18.128.0/17", "2001:db8:1:8000::/49"]
ports    = ["1000-1999"]
origins  = ["10.0.0.5:4000"]
`
)

// stormCases says, written by hand, what each table does with a port.
var stormCases = []stormCase{
	{"198.18.0.0/17", "2001:db8:1::/64", 80, [2]string{"same", "same"}},
	{"198.18.0.0/17", "2001:db8:1::/64", 1500, [2]string{"even", "odd"}},
	{"198.18.128.0/17", "2001:db8:1:8000::/64", 1500, [2]string{"even", "same"}},
	{"198.18.0.0/17", "2001:db8:1::/64", 81, [2]string{"even", refused}},
	{"198.18.0.0/17", "2001:db8:1::/64", 82, [2]string{refused, "odd"}},
	{"198.18.0.0/17", "2001:db8:1::/64", 22, [2]string{refused, refused}},
	{"198.19.0.0/17", "2001:db8:2::/64", 22, [2]string{"even", refused}},
}

type stormCase struct {
	v4, v6 string // prefixes of at least 2^15 addresses
	port   uint16
	valid  [2]string
}

// TestReloadStorm reloads repeatedly between two tables while clients keep asking: each
// is answered according to one of the tables in force, and a conn and a flow of a route
// that stays notice nothing.
func TestReloadStorm(t *testing.T) { onBothPaths(t, reloadsInStorm) }

func reloadsInStorm(t *testing.T, r *rig) {
	r.edge.answerAllErrors(t)
	r.edge.both(t, ":22", named("host")) // the edge's own, on all its addresses
	for address, name := range map[string]string{"10.0.0.5:4000": "same", "10.0.0.5:4001": "even", "10.0.0.5:4002": "odd"} {
		r.origin.serve(t, address, func(conn net.Conn) { replyAll(conn, named(name)) })
		r.origin.answer(t, address, named(name))
	}
	p := r.edge.serveWith(t, evenTable)
	s := newStorm(t, r.client)
	s.steady(t, "tcp", "198.18.0.1:80")
	s.steady(t, "udp", "198.18.0.1:80")
	for worker := range 8 {
		s.rage(worker)
	}

	var h history
	for n := range soak(20, 1000) {
		asked := s.asked.Load()
		p.write(t, [...]string{oddTable, evenTable}[n%2])
		reload := span{begun: time.Now()}
		if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
			t.Fatalf("reload %d: %+v", n+1, got)
		}
		reload.ended = time.Now()
		h.reloads = append(h.reloads, reload)
		eventually(t, "clients are served between reloads", func() bool { return s.asked.Load() > asked+100 || t.Failed() })
	}
	h.trials = s.calm()
	report(t, h)
}

// report fails the test for each fault, and if there was hardly any traffic.
func report(t *testing.T, h history) {
	t.Helper()
	faults := h.faults()
	for i, fault := range faults {
		if i == 10 {
			break
		}
		t.Error(fault)
	}
	seen := map[string]int{}
	for _, x := range h.trials {
		seen[x.answer]++
	}
	amid := h.amid()
	t.Logf("%d reloads, %d trials, %d of them met by a reload, %d faults: %v", len(h.reloads), len(h.trials), amid, len(faults), seen)
	for _, answer := range []string{"same", "even", "odd", refused} {
		if seen[answer] == 0 {
			t.Errorf("no client was answered %q", answer)
		}
	}
	if amid == 0 {
		t.Error("no reload met an exchange")
	}
}
