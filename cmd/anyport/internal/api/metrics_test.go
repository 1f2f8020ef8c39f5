package api

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"anyport/cmd/anyport/internal/admin"
)

var goVersion = regexp.MustCompile(`go_version="[^"]*"`)

// TestMetrics holds the names that dashboards and alerts depend on.
func TestMetrics(t *testing.T) {
	connects := admin.ConnectTimes{Total: 5, Sum: 90 * time.Second, AtMost: map[float64]uint64{
		0.0001: 3, 0.00025: 3, 0.0005: 4, 0.001: 4, 0.0025: 4, 0.005: 4, 0.01: 4, 0.025: 4, 0.05: 4, 0.1: 4,
		0.25: 4, 0.5: 4, 1: 4, 2.5: 4, 5: 4, 10: 4,
	}}
	status := admin.Status{
		Version:  "v1.2.3",
		Log:      admin.LogStatus{Lost: 7, AccessLost: 3},
		Config:   admin.ConfigStatus{Generation: 7, Refused: "line 3"},
		Steering: admin.SteeringStatus{Attached: true, Prefixes: 2, ForeignPrograms: []uint32{9}, Missing: []string{"a", "b"}, RoutesRestored: 5, Unmatched: map[string]uint64{"refuse": 6}},
		Files:    400,
		FileShares: admin.FileShares{
			Process: 60, TCP: admin.FileUse{Held: 40}, Flows: admin.FileUse{Held: 7}, Replies: admin.FileUse{Held: 3},
		},
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
			Origins:  []admin.OriginStatus{{Address: "10.0.0.5", Up: true, Refusals: 3, FailedDials: 2, Weight: 6, Changes: map[string]uint64{"check_failed": 4}, ConnectErrors: map[string]uint64{"refused": 2, "timeout": 1}, ConnsActive: 1, ConnsTotal: 8}},
			Draining: true, Verdicts: map[string]uint64{"steer": 12},
		}},
	}
	const want = `anyport_build_info{go_version="GO",version="v1.2.3"} 1
anyport_bytes_total{direction="to_client",protocol="tcp",route="game"} 0
anyport_bytes_total{direction="to_client",protocol="udp",route="game"} 77
anyport_bytes_total{direction="to_origin",protocol="tcp",route="game"} 0
anyport_bytes_total{direction="to_origin",protocol="udp",route="game"} 0
anyport_config_generation 7
anyport_config_last_reload_successful 0
anyport_connections_active{protocol="tcp",route="game"} 2
anyport_connections_active{protocol="udp",route="game"} 3
anyport_connections_total{protocol="tcp",route="",verdict="no_route"} 1
anyport_connections_total{protocol="tcp",route="game",verdict="closed"} 5
anyport_datagrams_total{direction="to_origin",route="game",verdict="forwarded"} 4
anyport_files_limit 400
anyport_files_used{use="flows"} 7
anyport_files_used{use="process"} 60
anyport_files_used{use="replies"} 3
anyport_files_used{use="tcp"} 40
anyport_held_back_bytes_total{route="game"} 9000
anyport_log_lines_lost_total{log="access"} 3
anyport_log_lines_lost_total{log="process"} 7
anyport_origin_connect_errors_total{error="refused",origin="10.0.0.5",route="game"} 2
anyport_origin_connect_errors_total{error="timeout",origin="10.0.0.5",route="game"} 1
anyport_origin_connect_seconds_bucket{route="game",le="0.0001"} 3
anyport_origin_connect_seconds_bucket{route="game",le="0.00025"} 3
anyport_origin_connect_seconds_bucket{route="game",le="0.0005"} 4
anyport_origin_connect_seconds_bucket{route="game",le="0.001"} 4
anyport_origin_connect_seconds_bucket{route="game",le="0.0025"} 4
anyport_origin_connect_seconds_bucket{route="game",le="0.005"} 4
anyport_origin_connect_seconds_bucket{route="game",le="0.01"} 4
anyport_origin_connect_seconds_bucket{route="game",le="0.025"} 4
anyport_origin_connect_seconds_bucket{route="game",le="0.05"} 4
anyport_origin_connect_seconds_bucket{route="game",le="0.1"} 4
anyport_origin_connect_seconds_bucket{route="game",le="0.25"} 4
anyport_origin_connect_seconds_bucket{route="game",le="0.5"} 4
anyport_origin_connect_seconds_bucket{route="game",le="1"} 4
anyport_origin_connect_seconds_bucket{route="game",le="2.5"} 4
anyport_origin_connect_seconds_bucket{route="game",le="5"} 4
anyport_origin_connect_seconds_bucket{route="game",le="10"} 4
anyport_origin_connect_seconds_bucket{route="game",le="+Inf"} 5
anyport_origin_connect_seconds_sum{route="game"} 90
anyport_origin_connect_seconds_count{route="game"} 5
anyport_origin_connections_active{origin="10.0.0.5",route="game"} 1
anyport_origin_connections_total{origin="10.0.0.5",route="game"} 8
anyport_origin_dial_failures_total{origin="10.0.0.5",route="game"} 2
anyport_origin_refusals_total{origin="10.0.0.5",route="game"} 3
anyport_origin_state_changes_total{cause="check_failed",origin="10.0.0.5",route="game"} 4
anyport_origin_up{origin="10.0.0.5",route="game"} 1
anyport_origin_weight{origin="10.0.0.5",route="game"} 6
anyport_route_draining{route="game"} 1
anyport_steering_attached 1
anyport_steering_foreign_programs 1
anyport_steering_lookups_total{route="",verdict="refuse"} 6
anyport_steering_lookups_total{route="game",verdict="steer"} 12
anyport_steering_missing 2
anyport_steering_prefixes 2
anyport_steering_routes_restored_total 5
`
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{func() admin.Status { return status }})
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	var got strings.Builder
	for line := range strings.Lines(answer.Body.String()) {
		if !strings.HasPrefix(line, "#") {
			got.WriteString(goVersion.ReplaceAllString(line, `go_version="GO"`))
		}
	}
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
