package route

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"anyport/config"
)

// simulated is a loop that serves its conns one after the other, one read each, and wakes those that
// wait only at its ticks.
type simulated struct {
	phase time.Duration // of its ticks
	ready []*greedy
	sleep []*greedy
}

// greedy is a conn that always has bytes to move.
type greedy struct {
	turn  int           // bytes taken; 0: none
	at    time.Duration // when it may move them
	moved int
}

// step moves what the loop can move at now, and reports how much that was.
func (l *simulated) step(b *SharedBandwidth, now time.Duration) (moved int) {
	if (now-l.phase)%(100*time.Millisecond) == 0 {
		l.sleep = slices.DeleteFunc(l.sleep, func(c *greedy) bool {
			due := c.at <= now
			if due {
				b.EndWait()
				l.ready = append(l.ready, c)
			}
			return due
		})
	}
	for len(l.ready) > 0 {
		c := l.ready[0]
		l.ready = l.ready[1:]
		if c.turn == 0 {
			n := b.Quantum()
			if wait := b.Take(n, epoch.Add(now)); wait > 0 {
				c.turn, c.at = n, now+wait
				b.BeginWait()
				l.sleep = append(l.sleep, c)
				continue
			}
			c.turn = n
		}
		c.moved, moved, c.turn = c.moved+c.turn, moved+c.turn, 0
		l.ready = append(l.ready, c)
	}
	return moved
}

// TestSharedBandwidth has greedy conns on two loops share a bandwidth: together they never move more
// than it allows, waste none of it, and each gets nearly the same, whichever loop it is on.
func TestSharedBandwidth(t *testing.T) {
	for _, rate := range []config.Rate{64 << 10, 1 << 20, 100 << 20, 10 << 30} {
		for _, conns := range [][2]int{{1, 0}, {1, 1}, {1, 9}, {50, 50}} {
			t.Run(fmt.Sprint(rate, " ", conns), func(t *testing.T) {
				s := newStats(0)
				s.share(rate)
				b := &s.shared.Load()[ToClient]
				loops := [2]simulated{{}, {phase: 37 * time.Millisecond}}
				var all []*greedy
				for i := range loops {
					for range conns[i] {
						c := &greedy{}
						all, loops[i].ready = append(all, c), append(loops[i].ready, c)
					}
				}
				const span, warmUp = 60 * time.Second, 10 * time.Second
				total, most := 0, b.Quantum()
				for now := time.Hour; now < time.Hour+span; now += time.Millisecond { // after a long pause
					if now == time.Hour+warmUp { // the first conns took more while they were alone
						for _, c := range all {
							c.moved = 0
						}
					}
					for i := range loops {
						total += loops[i].step(b, now)
					}
					passed := (now - time.Hour + sharedBurst).Seconds()
					if bound := passed*float64(rate) + float64(most); float64(total) > bound {
						t.Fatalf("%d bytes after %v, want at most %.0f", total, now-time.Hour, bound)
					}
				}
				if least := 0.97 * span.Seconds() * float64(rate); float64(total) < least {
					t.Errorf("%d bytes in all, want at least %.0f", total, least)
				}
				by := func(a, b *greedy) int { return a.moved - b.moved }
				least, largest := slices.MinFunc(all, by).moved, slices.MaxFunc(all, by).moved
				if float64(least+2*quantumLeast) < 0.8*float64(largest) {
					t.Errorf("one conn has moved %d bytes, and another one %d", least, largest)
				}
			})
		}
	}
}

// TestSharedBandwidthGivesBack takes bytes and gives them back, in any order: nothing is left of it.
func TestSharedBandwidthGivesBack(t *testing.T) {
	s := newStats(0)
	s.share(1000)
	b, now := &s.shared.Load()[ToOrigin], epoch.Add(time.Hour)
	if wait := b.Take(1000, now); wait != 0 {
		t.Errorf("the first bytes wait for %v", wait)
	}
	if wait := b.Take(500, now); wait != time.Second-sharedBurst {
		t.Errorf("the next ones wait for %v, want %v", wait, time.Second-sharedBurst)
	}
	if b.Free(now) {
		t.Error("bandwidth is free while bytes wait")
	}
	b.GiveBack(500)
	b.GiveBack(1000)
	if !b.Free(now) {
		t.Error("what was given back is not free")
	}
	s.share(1000)
	if b != &s.shared.Load()[ToOrigin] {
		t.Error("a reload without a change begins with a full bucket")
	}
	s.share(2000)
	if b == &s.shared.Load()[ToOrigin] {
		t.Error("another rate is not another bucket")
	}
	s.share(0)
	if s.shared.Load() != nil {
		t.Error("without a limit there is still a bucket")
	}
}
