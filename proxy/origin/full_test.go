package origin

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"anyport/config"
)

// TestFullOrigins fills the origins of each policy to their max_conns, on many goroutines: none gets
// one more than that, all places are used, and the backup is the last. What ends makes room.
func TestFullOrigins(t *testing.T) {
	for _, balance := range []config.Balance{config.RoundRobin, config.LeastConn, config.Random, config.SourceHash, config.First} {
		t.Run(string(balance), func(t *testing.T) {
			r := &config.Route{Balance: balance, Origins: []config.Origin{
				{Text: "a", Weight: 1, MaxConns: 10}, {Text: "b", Weight: 3, MaxConns: 20}, {Text: "c", Weight: 1, Backup: true, MaxConns: 5},
				{Text: "drained", MaxConns: 1},
			}}
			p := NewPool(r, nil)
			var begun, refused sync.Map
			var all sync.WaitGroup
			for n := range 100 {
				all.Go(func() {
					client := netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})
					for {
						o := p.Pick(Ask{Client: client, Protocol: config.TCP, Now: time.Now()})
						if o == nil {
							refused.Store(n, true)
							return
						}
						if o.TryBegin() {
							begun.Store(n, o)
							return
						}
					}
				})
			}
			all.Wait()
			for i, want := range []int64{10, 20, 5, 0} {
				if got := p.Origins[i].Active(); got != want {
					t.Errorf("origin %s has %d conns, want %d", p.Origins[i].Text, got, want)
				}
			}
			n := 0
			refused.Range(func(any, any) bool { n++; return true })
			if n != 65 || !p.HasFull(asking(0, nil)) || p.HasFull(asking(0, p.Origins)) {
				t.Errorf("%d conns are refused, want 65", n)
			}
			p.Origins[1].End()
			if o := p.Pick(Ask{Protocol: config.TCP, Now: time.Now()}); o != p.Origins[1] {
				t.Errorf("the place that is free again goes to %v", o)
			}
			more := *r
			more.Origins = append([]config.Origin{}, r.Origins...)
			more.Origins[0].MaxConns = 11
			if o := NewPool(&more, p).Origins[0]; !o.TryBegin() || o.TryBegin() {
				t.Error("a reload that allows one more does not admit just one more")
			}
		})
	}
}

// TestTwoWaysShareMaxConns: a server with an IPv4 and an IPv6 address gets no more than max_conns, by
// both of them together.
func TestTwoWaysShareMaxConns(t *testing.T) {
	o := app(1)
	o.MaxConns = 3
	r := &config.Route{Balance: config.First, Origins: []config.Origin{o}}
	p := NewPoolOf(r, Resolved(o, addrs("10.0.0.5", "2001:db8::5")), nil)
	p.Origins[0].Begin() // as when IPv6 was dead a moment ago
	begun := 1
	for range 10 {
		if o := p.Pick(asking(0, nil)); o != nil && o.TryBegin() {
			begun++
		}
	}
	if begun != 3 || p.Origins[0].TryBegin() || !p.HasFull(asking(0, nil)) {
		t.Errorf("the server has %d conns, want 3", begun)
	}
}

// TestDownAndFull: a conn that gets no origin since they are down is not counted as one over max_conns.
func TestDownAndFull(t *testing.T) {
	r := &config.Route{OnAllDown: config.RefuseAll, Origins: []config.Origin{{Text: "down", Weight: 1, MaxConns: 1}, {Text: "up", Weight: 1}}}
	p := NewPool(r, nil)
	down, up := p.Origins[0], p.Origins[1]
	down.Begin()
	down.SetChecked(true, "test", noon)
	if p.HasFull(asking(0, []*Origin{up})) {
		t.Error("an origin that is down and full could have been picked, since another one is up")
	}
	up.SetChecked(true, "test", noon)
	if p.HasFull(asking(0, nil)) {
		t.Error("an origin that is down and full could have been picked, with on_all_down = \"refuse\"")
	}
	r.OnAllDown = config.TryAll
	if !p.HasFull(asking(0, []*Origin{up})) {
		t.Error("an origin that is down and full could not have been picked, with on_all_down = \"try\"")
	}
}
