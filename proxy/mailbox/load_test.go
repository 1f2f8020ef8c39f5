package mailbox

import (
	"math"
	"testing"
	"time"
)

// TestLoads: the share in which a loop waited is of the time between two looks, and its busy time goes on from
// another process.
func TestLoads(t *testing.T) {
	p := NewPulse()
	busy := map[string]time.Duration{}
	var forget []func()
	for _, name := range []Name{{"udp", 0}, {"tcp", 10}, {"tcp", 2}} {
		q, err := New()
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		forget = append(forget, p.Watch(q, name, func() time.Duration { return busy[name.String()] }))
	}
	check := func(what string, want ...Load) {
		t.Helper()
		got := p.Loads()
		for i, w := range want {
			if len(got) != len(want) || got[i].Name != w.Name || got[i].Busy != w.Busy || math.Abs(got[i].Idle-w.Idle) > 1e-9 {
				t.Errorf("%s: %+v, want %+v", what, got, want)
				return
			}
		}
	}
	tcp2, tcp10, udp := Name{"tcp", 2}, Name{"tcp", 10}, Name{"udp", 0}
	check("before a look", Load{tcp2, 0, 1}, Load{tcp10, 0, 1}, Load{udp, 0, 1})
	busy["tcp/2"], busy["udp/0"] = time.Second, 4*time.Second
	p.Look(2 * time.Second)
	check("one worked half of the time, one all of it and more", Load{tcp2, time.Second, 0.5}, Load{tcp10, 0, 1}, Load{udp, 4 * time.Second, 0})
	p.AddBusy("tcp/2", time.Minute)
	busy["udp/0"] += time.Second / 4
	p.Look(time.Second)
	check("later", Load{tcp2, time.Minute + time.Second, 1}, Load{tcp10, 0, 1}, Load{udp, 17 * time.Second / 4, 0.75})
	p.AddBusy("tcp/12", time.Second)
	p.AddBusy("tcp/", time.Second)
	p.AddBusy("of another version", time.Second)
	busy["tcp/10"] = time.Hour
	for _, f := range forget {
		f()
	}
	check("after the end", Load{tcp2, time.Minute + time.Second, 1}, Load{tcp10, time.Hour, 1}, Load{Name{"tcp", 12}, time.Second, 1}, Load{udp, 17 * time.Second / 4, 1})
}
