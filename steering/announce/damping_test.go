package announce

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"
)

// TestDampingHandedOver: the process that takes over goes on with the points of the host and of the routes.
func TestDampingHandedOver(t *testing.T) {
	now := time.Unix(1000, 0)
	web := netip.MustParsePrefix("192.0.2.0/24")
	routes := func(noOrigin bool) []Served {
		return []Served{{Name: "web", Prefixes: []netip.Prefix{web}, NoOrigin: noOrigin}}
	}
	old := newBook(nil)
	for range 3 { // announced, and withdrawn again
		old.decide(Facts{Now: now, Routes: routes(false)}, true)
		now = now.Add(HoldTime)
		old.decide(Facts{Now: now, Routes: routes(false)}, true)
		old.decide(Facts{Now: now, Routes: routes(true)}, true)
	}
	text, err := json.Marshal(old.damping())
	if err != nil {
		t.Fatal(err)
	}
	var points []Damping
	if err := json.Unmarshal(text, &points); err != nil || len(points) != 1 || points[0].Route != "web" || points[0].Flaps != 3 {
		t.Fatalf("%s, %v", text, err)
	}
	next := newBook(nil)
	next.remember(points)
	next.decide(Facts{Now: now, Routes: routes(false)}, true)
	if got := next.decide(Facts{Now: now.Add(HoldTime), Routes: routes(false)}, true)[web]; got != Damped {
		t.Errorf("after the hand-over it is %s, want %s", got, Damped)
	}
	if got := next.decide(Facts{Now: now.Add(3 * HalfLife), Routes: routes(false)}, true)[web]; got != Announced {
		t.Errorf("after its points have gone it is %s", got)
	}
	fresh := newBook(nil)
	fresh.remember([]Damping{{Route: "", Penalty: -5, Flaps: 1}, {Route: "gone", Penalty: 1e300, Damped: true, Flaps: 1}})
	fresh.decide(Facts{Now: now, Routes: routes(false)}, true)
	if got := fresh.decide(Facts{Now: now.Add(HoldTime), Routes: routes(false)}, true)[web]; got != Announced {
		t.Errorf("with points that concern nothing: %s", got)
	}
}
