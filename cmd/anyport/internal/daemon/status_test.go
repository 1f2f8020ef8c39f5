package daemon

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/proxy"
	"anyport/proxy/route"
	"anyport/steering"
	"anyport/steering/table"
)

func TestJoinRoutes(t *testing.T) {
	served := []proxy.RouteStatus{{Name: "web", Denied: 2, Limited: 1}, {Name: "new"}}
	kernel := []steering.Counters{
		{Route: "", Verdicts: map[table.Verdict]uint64{table.Refuse: 100}},
		{Route: "web", Verdicts: map[table.Verdict]uint64{table.Steer: 5, table.Refuse: 3, table.Drop: 4, table.Deny: 7, table.Limit: 6}},
	}
	got := joinRoutes(served, kernel, func(route string) bool { return route == "web" })
	if len(got) != 2 {
		t.Fatalf("%d routes, want 2", len(got))
	}
	if web := got[0]; web.Lookups != 25 || web.Refused != 3 || web.Dropped != 4 || web.Denied != 9 || web.Limited != 7 || !web.Draining {
		t.Errorf("web = %+v", web)
	}
	if fresh := got[1]; fresh.Lookups != 0 || fresh.Refused != 0 || fresh.Denied != 0 || fresh.Draining {
		t.Errorf("new = %+v", fresh)
	}
}

// TestStatusKeys holds the names that scripts depend on.
func TestStatusKeys(t *testing.T) {
	status := admin.Status{
		Steering: steeringStatus(steering.Status{}, nil),
		Routes: joinRoutes([]proxy.RouteStatus{{
			Protocol: []string{}, Prefixes: []string{}, Ports: []string{}, Origins: []proxy.OriginStatus{{}},
		}}, nil, new(drains).has),
	}
	text, err := json.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	route := object["routes"].([]any)[0].(map[string]any)
	origin := route["origins"].([]any)[0].(map[string]any)
	want(t, "status", object, "version", "pid", "uptime_seconds", "config", "steering", "routes")
	want(t, "config", object["config"].(map[string]any), "path", "generation")
	want(t, "steering", object["steering"].(map[string]any), "attached", "pinned", "program_id", "foreign_programs")
	want(t, "route", route, "name", "protocol", "prefixes", "ports", "lookups", "refused", "denied", "limited",
		"conns_active", "conns_total", "draining", "origins")
	want(t, "origin", origin, "address", "up", "forced", "conns_active", "conns_total")
}

func want(t *testing.T, name string, object map[string]any, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if value, ok := object[key]; !ok || value == nil {
			t.Errorf("%s: key %q has %v", name, key, value)
		}
	}
}

// TestRouteStatusIsWhole: what the proxy counts of a route reaches the admin API, field by field.
func TestRouteStatusIsWhole(t *testing.T) {
	half := 0.5
	two, noon := 2, time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	served := proxy.RouteStatus{
		Name: "web", Protocol: []string{"tcp"}, Prefixes: []string{"192.0.2.0/24"}, Ports: []string{"80"}, Action: "forward",
		ConnsActive: 1, ConnsTotal: 2, Denied: 3, Limited: 4, ConnsPeak: 11, MaxConns: 12, MaxFlows: 13, NewConnsPerSecond: 14, Queue: 15, BytesToOrigin: 5, BytesToClient: 6, HeldBack: 7,
		Fast:   proxy.FastStatus{Flows: 16, Datagrams: map[string]uint64{"to_origin": 17}, Refused: map[string]uint64{"off": 18}},
		Active: map[string]int64{"tcp": 8}, Bytes: map[string]map[string]uint64{"tcp": {"to_origin": 9}},
		BandwidthWaiting: map[string]int64{"to_client": 10}, QueueWaiting: &two, UnreachableSince: &noon,
		Balance: "first", NewPeak: 16, LastNew: &noon, QueuePeak: 17, WaitSeconds: &half, ConnectSeconds: &half, SessionSeconds: &half,
		Retries: 18, Moves: 19, DownSeconds: 20, TimesDown: 21, DownChanged: &noon,
	}
	from, to := reflect.ValueOf(served), reflect.ValueOf(routeStatus(served))
	for i := range from.NumField() {
		name := from.Type().Field(i).Name
		switch name {
		case "Counts", "Connects", "Waits", "Sessions", "Origins": // of other types
			continue
		}
		if from.Field(i).IsZero() {
			t.Errorf("the test sets no %s", name)
		}
		if name == "Fast" { // of another type, with the same fields
			if got := to.FieldByName(name).Interface(); !reflect.DeepEqual(got, admin.FastStatus(served.Fast)) {
				t.Errorf("%s is %v, want %v", name, got, served.Fast)
			}
			continue
		}
		if field := to.FieldByName(name); !field.IsValid() || !reflect.DeepEqual(field.Interface(), from.Field(i).Interface()) {
			t.Errorf("%s is %v, want %v", name, field, from.Field(i))
		}
	}
}

// TestTimes: each bucket counts the conns of the buckets below it, too.
func TestTimes(t *testing.T) {
	var b route.Buckets
	b.Counts[0], b.Counts[2], b.Counts[len(b.Counts)-1], b.Sum = 3, 1, 1, 90*time.Second
	got := timesOf(b)
	if got.Total != 5 || got.Sum != 90*time.Second || len(got.AtMost) != len(route.Bounds) {
		t.Errorf("%+v", got)
	}
	for i, bound := range route.Bounds {
		want := uint64(3)
		if i >= 2 {
			want = 4
		}
		if n := got.AtMost[bound.Seconds()]; n != want {
			t.Errorf("%d conns took at most %v, want %d", n, bound, want)
		}
	}
}
