package table

import (
	"github.com/gaissmai/bart"

	"anyport/config"
)

// Verdict is what becomes of the first packet of a conn or flow. Users read these words: in
// explain, status and metrics.
//
// Three other types look alike and say something else. config.Action is what a file can ask
// for, which is never deny or limit, and has no words of its own. bpf.SteerVerdict is the
// kernel's number for a Verdict: bpfmaps.VerdictOf converts it, and nothing else does.
// route.Verdict is what the proxy says about a conn that the kernel has already steered.
type Verdict string

// The verdicts.
const (
	Steer    Verdict = "steer"    // to our socket
	Refuse   Verdict = "refuse"   // RST or ICMP port unreachable: the port looks closed
	Drop     Verdict = "drop"     // silence
	Pass     Verdict = "pass"     // to the host's own listeners
	Deny     Verdict = "deny"     // the route does not admit this client
	Inactive Verdict = "inactive" // the route is not in force at this time: see active
	Socket   Verdict = "socket"   // to the socket of a service of this host
	Limit    Verdict = "limit"    // over new_conns_per_second, which is refused, or datagrams_per_second, which is dropped; only the kernel knows
)

// Table is the routes of one config, compiled. It never changes, so any number of
// goroutines may read it.
type Table struct {
	prefixes   *bart.Table[Policy] // all that routes serve, and egress prefixes
	intervals  []Interval          // every segment of every policy, end to end
	bindings   []Binding           // [0] is what no route takes; [i] is the i-th route of the file; then the egress prefixes
	routeCount int                 // of the file
	knocks     [][]uint32          // bindings with sequences: see Policy.Knocks, which counts from 1
	retired    *bart.Table[Policy] // prefixes of an earlier table, which keep their addresses local for a while: see retired.go
}

// Empty returns a table that serves nothing.
func Empty() *Table {
	return &Table{prefixes: new(bart.Table[Policy]), retired: new(bart.Table[Policy])}
}

// Policy is the effective port maps of a prefix: its own rules laid over those of
// the prefixes that cover it.
type Policy struct {
	TCP, UDP Segment
	Knocks   uint32 // the sequences that count here, of [Table.KnockSteps]; 0: none
}

// Segment is a run of Table.intervals: sorted, the first at port 0, so that
// together they cover 0-65535.
type Segment struct{ Offset, Count uint32 }

// Interval binds the ports from lo up to the next interval of its segment.
type Interval struct {
	First   uint16
	Binding uint32 // index into Table.bindings
}

// Binding is what happens to the ports bound to it.
type Binding struct {
	Route *config.Route // nil: no route takes the port; with Steer it is of an egress prefix
	Rules
	Clients *config.Clients // nil admits everyone
}
