package tcp

import (
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/origin"
	"anyport/proxy/route"
)

// TestEndsInTurns: of very many conns that are due a turn ends a bounded number, and the loop does not sleep
// before the last. A conn that has ended meanwhile, or moves, is left out.
func TestEndsInTurns(t *testing.T) {
	const n = 2*endsATurn + 3
	for name, due := range map[string]func(l *loop, all []*conn){
		"by the clock": func(l *loop, all []*conn) {
			for _, c := range all {
				c.drained = l.now + time.Second
				l.setTimer(c)
			}
			l.now += time.Minute
		},
		"all of a route": func(l *loop, all []*conn) {
			for _, c := range all {
				l.endLater(c, route.HoursOver)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newFakeConn().loop
			l.closeConn(l.slots[0], route.Killed)
			all := make([]*conn, n)
			for i := range all {
				c := &conn{route: l.routes.Set().Routes[0], ends: [2]end{{fd: -1}, {fd: -1}}, state: relaying}
				c.origin = c.route.Origins().Pick(origin.Ask{})
				c.origin.Begin()
				l.addConn(c)
				all[i] = c
			}
			due(l, all)
			l.endConn(all[0], route.Killed)
			all[1].moving = true
			turns := 0
			for l.epollTimeout() == 0 {
				before := l.connCount
				if err := l.turn(nil); err != nil {
					t.Fatal(err)
				}
				if ended := before - l.connCount; ended > endsATurn {
					t.Errorf("a turn ended %d conns", ended)
				}
				turns++
			}
			if l.connCount != 1 || l.slots[all[1].slot] != all[1] || turns != 3 {
				t.Errorf("%d conns are left after %d turns, want the one that moves, after 3", l.connCount, turns)
			}
			killed := l.routes.Set().Routes[0].Stats.Totals().Ended[config.TCP][route.Killed]
			if killed != 2 {
				t.Errorf("%d conns of 2 were killed", killed)
			}
		})
	}
}
