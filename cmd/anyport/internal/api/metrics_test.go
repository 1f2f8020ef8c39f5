package api

import (
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/goldentest"
)

var goVersion = regexp.MustCompile(`go_version="[^"]*"`)

// busyStatus has a value for every metric.
func busyStatus() admin.Status {
	connects := admin.Times{Total: 5, Sum: 90 * time.Second, AtMost: map[float64]uint64{
		0.0001: 3, 0.00025: 3, 0.0005: 4, 0.001: 4, 0.0025: 4, 0.005: 4, 0.01: 4, 0.025: 4, 0.05: 4, 0.1: 4,
		0.25: 4, 0.5: 4, 1: 4, 2.5: 4, 5: 4, 10: 4,
	}}
	checked, waiting, part := time.Now(), 5, 0.25
	return admin.Status{
		Version: "v1.2.3",
		Loops:   2, LoopsStuck: 1, MaxFlows: 1000, MaxSockets: 800, LocalPorts: 28232, Stopping: true,
		Log:    admin.LogStatus{Lost: 7, AccessLost: 3},
		Config: admin.ConfigStatus{Generation: 7, Refused: "line 3", LoadedAt: time.UnixMilli(1_700_000_000_500)},
		Listeners: admin.ListenerStatus{
			Accept: []admin.QueueUse{{Used: 3, Most: 4096}}, AcceptOverflows: 17, Receive: []admin.QueueUse{{Used: 2304, Most: 8 << 20}},
		},
		Resolver: &admin.ResolverStatus{Names: []admin.NameStatus{{Name: "app.example", Addresses: []string{"10.0.0.7", "10.0.0.8"}, Error: "no server answers"}}},
		Steering: admin.SteeringStatus{Attached: true, Pinned: true, OnDeath: admin.Exposed, Prefixes: 2, ForeignPrograms: []uint32{9}, Missing: []string{"a", "b"}, RoutesRestored: 5, Unmatched: map[string]uint64{"refuse": 6}},
		Files:    400,
		FileShares: admin.FileShares{
			Process: 60, Reserve: 64, TCP: admin.FileUse{Held: 40, Most: 300}, Flows: admin.FileUse{Held: 7, Most: 250}, Replies: admin.FileUse{Held: 3, Most: 200},
		},
		LoopLoads: []admin.LoopLoad{{Name: "tcp/0", Idle: 0.75, BusySeconds: 3.5}},
		Doors:     []admin.Door{{Client: "198.51.100.1", Route: "game"}},
		Knocks:    map[string]uint64{"opened": 2},
		Fleet:     &admin.FleetStatus{Source: "etcd://10.9.0.9/edges", Up: true, ContactSeconds: &part, Table: "3f2a", Wanted: "3f2a", RefusedTotal: 2, Reports: true},
		Peers: &admin.PeersStatus{
			Peers: []admin.PeerStatus{{Address: "10.9.0.2", Alive: true}, {Address: "10.9.0.3", WrongTags: 4}}, Off: "no device",
			Packets: map[string]uint64{"asked": 3, "taken": 2}, Conns: map[string]uint64{"learnt": 1},
		},
		Trial: &admin.TrialStatus{
			SharePercent: 5, Since: time.UnixMilli(1_700_000_001_000),
			Old: admin.TrialSide{Conns: 19, Active: 4, Refused: 3, Failed: 2, Resets: 1}, New: admin.TrialSide{Conns: 5, Failed: 5},
		},
		Scans:    admin.ScanStatus{Reported: 9, Skipped: 4, Clients: 3},
		Announce: &admin.AnnounceStatus{Table: 179, Prefixes: map[string]int{"announced": 2, "no_origin": 1}, RoutesRestored: 6, Parts: []admin.AnnouncePart{{Flaps: 3}, {Route: "game", Flaps: 4}}},
		Unrouted: admin.Counts{Ended: map[string]map[string]uint64{"tcp": {"no_route": 1}}},
		Routes: []admin.RouteStatus{{
			Name: "game", Protocol: []string{"tcp", "udp"},
			Active: map[string]int64{"tcp": 2, "udp": 3},
			Bytes:  map[string]map[string]uint64{"udp": {"to_client": 77}},
			Counts: admin.Counts{
				Ended:     map[string]map[string]uint64{"tcp": {"closed": 5}},
				Datagrams: map[string]map[string]uint64{"to_origin": {"forwarded": 4}},
			},
			Connects: connects, HeldBack: 9000,
			Fast:  admin.FastStatus{Flows: 2, Datagrams: map[string]uint64{"to_client": 3}, Refused: map[string]uint64{"header": 1}},
			Waits: admin.Times{Total: 5, Sum: 30 * time.Second, AtMost: connects.AtMost}, Sessions: map[string]admin.Sum{"tcp": {Count: 6, Total: time.Minute}},
			Retries: 9, Moves: 7, DownSeconds: 4.5,
			Origins: []admin.OriginStatus{{Address: "10.0.0.5", Up: true, Refusals: 3, FailedDials: 2, Weight: 6, Changes: map[string]uint64{"check_failed": 4}, ConnectErrors: map[string]uint64{"refused": 2, "timeout": 1}, ConnsActive: 1, ConnsTotal: 8, CheckedAt: &checked, CheckSeconds: 0.002, ChecksFailed: 11,
				Accepts: 12, AcceptTime: 0.5, Sessions: 13, SessionsTime: 14.5, Retries: 15, Moves: 16, DownSeconds: 17.5, SlowStart: &part,
				SourcePorts: map[string]int64{"auto": 1, "10.0.0.1": 2}}},
			BandwidthWaiting: map[string]int64{"to_client": 2}, QueueWaiting: &waiting,
			Hours: &admin.HoursStatus{Active: true}, LocalSockets: []admin.LocalSocket{{Protocol: "tcp", Up: true}},
			Draining: true, Verdicts: map[string]uint64{"steer": 12},
		}},
	}
}

// TestMetrics holds the names that dashboards and alerts depend on.
func TestMetrics(t *testing.T) {
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(newGatherer(busyStatus), promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	var got strings.Builder
	for line := range strings.Lines(answer.Body.String()) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "anyport_go_") && !strings.HasPrefix(line, "anyport_process_") {
			got.WriteString(goVersion.ReplaceAllString(line, `go_version="GO"`))
		}
	}
	goldentest.Compare(t, "testdata/metrics.txt", got.String())
}

// TestLint holds the conventions of Prometheus, and that no sample is there twice.
func TestLint(t *testing.T) {
	families, err := newGatherer(busyStatus).Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	seen := map[string]bool{}
	for _, f := range families {
		for _, m := range f.Metric {
			if sample := fmt.Sprint(f.GetName(), m.Label); seen[sample] {
				t.Errorf("%s is there twice", sample)
			} else {
				seen[sample] = true
			}
		}
	}
}
