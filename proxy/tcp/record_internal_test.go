package tcp

import (
	"testing"
	"time"

	"anyport/proxy/route"
)

// TestProgress: a live conn is recorded at each multiple of the interval, bytes or not, and once at its
// end; a reload turns that on and off.
func TestProgress(t *testing.T) {
	f := newFakeConn()
	var lines []route.Record
	every := func(d time.Duration) {
		f.routes.SetRecording(route.Recording{To: func(r route.Record) { lines = append(lines, r) }, Share: 1, Progress: d})
		f.applyRecording()
	}
	play := func(want int, events ...string) {
		t.Helper()
		for _, event := range events {
			f.happen(t, event)
		}
		if len(lines) != want {
			t.Errorf("after %q: %d lines, want %d", events, len(lines), want)
		}
		for _, r := range lines {
			if live := f.conn.state != closed; r.Live != live || r.ID != f.conn.id || r.Attempts != 1 {
				t.Errorf("after %q: %+v", events, r)
			}
		}
		lines = nil
	}
	every(10 * time.Second)
	play(0, "time passes 4s", "time passes 500ms", "origin accepts")
	play(0, "client says hello", "time passes 5s")
	play(1, "time passes 1s")
	play(0, "time passes 9s")
	play(1, "client says hello", "time passes 1s")
	every(0)
	play(0, "time passes 10m")
	every(time.Hour)
	play(0, "client says hello", "time passes 1m")
	every(time.Minute)
	play(1, "time passes 1m")
	if n := f.conn.ways[route.ToOrigin].bytes; n != 15 {
		t.Errorf("%d bytes", n)
	}
	play(1, "client resets")
	if f.conn.state != closed {
		t.Error("the conn is not over")
	}
}
