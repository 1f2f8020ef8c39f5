package proxy

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"anyport/config"
	"anyport/proxy/health"
	"anyport/proxy/route"
)

// TestCountersGoOn: a server that gets the counters of another one shows what that did and what it counts
// itself, and nothing of a route or counter that it does not have.
func TestCountersGoOn(t *testing.T) {
	file := []*config.Route{{Name: "web", Protocols: []config.Protocol{config.TCP, config.UDP}, Origins: []config.Origin{{Text: "10.0.0.5", Weight: 1}, {Text: "10.0.0.6", Weight: 1}}}}
	quiet := slog.New(slog.DiscardHandler)
	one, two := New(Options{Workers: 1, Log: quiet}), New(Options{Workers: 2, Log: quiet})
	for _, s := range []*Server{one, two} {
		s.Try(nothing{}, file).Keep(nothing{})
	}
	use := func(s *Server) {
		r := s.routes.Set().Routes[0]
		for shard := range 2 {
			c := r.Stats.Shard(shard)
			for _, p := range []config.Protocol{config.TCP, config.UDP} {
				c.Arrive(p)
				for v := range route.Verdicts {
					c.End(p, v)
				}
				for _, d := range []route.Direction{route.ToOrigin, route.ToClient} {
					c.Bytes(p, d, 7)
				}
			}
			for v := range route.Verdicts {
				c.Datagrams(route.ToOrigin, v, 2)
				c.Datagrams(route.ToClient, v, 3)
			}
			c.HeldBack(11)
			c.FastDatagrams(route.ToOrigin, 5)
			c.FastDatagrams(route.ToClient, 6)
			for reason := range route.FastReasons {
				c.FastRefused(reason)
			}
			for _, bound := range route.Bounds {
				c.Connected(bound)
			}
			c.Connected(time.Hour)
			c.Waited(time.Minute)
			c.Served(config.TCP, time.Minute)
			c.Served(config.UDP, time.Second)
			c.Retried(true)
			c.Retried(false)
		}
		o := r.Origins().Origins[1]
		o.Begin()
		o.Carry(int(route.ToOrigin), 12)
		o.Carry(int(route.ToClient), 13)
		o.End()
		o.Connected(time.Second)
		o.Served(time.Minute)
		o.RetriedFrom(r.Origins().Origins[0])
		o.SetResult(&health.Result{Failed: "no answer"})
		s.routes.Unrouted.Shard(0).End(config.TCP, route.NoRoute)
	}
	ofProcess := cmp.Options{ // peaks and averages do not go on in the next process
		cmpopts.IgnoreFields(RouteStatus{}, "NewPeak", "LastNew", "WaitSeconds", "ConnectSeconds", "SessionSeconds"),
		cmpopts.IgnoreFields(OriginStatus{}, "ConnsPeak", "NewPeak", "LastNew", "ConnectSeconds", "SessionSeconds"),
	}
	use(one)
	one.EachCount(two.AddCount)
	if diff := cmp.Diff(one.Status(), two.Status(), ofProcess); diff != "" {
		t.Errorf("the status, -one +two:\n%s", diff)
	}
	if diff := cmp.Diff(one.Unrouted(), two.Unrouted()); diff != "" {
		t.Errorf("unrouted, -one +two:\n%s", diff)
	}
	use(one)
	use(two)
	if diff := cmp.Diff(one.Status(), two.Status()); diff != "" {
		t.Errorf("the status of both when they have counted more, -one +two:\n%s", diff)
	}
	before := two.Status()
	two.AddCount(CounterID{Route: "gone", Key: "tcp/arrived"}, 1)
	two.AddCount(CounterID{Route: "web", Key: "tcp/ended/of_another_version"}, 1)
	two.AddCount(CounterID{Route: "web", Origin: "10.0.0.7", Key: "conns"}, 1)
	two.AddCount(CounterID{Key: "process/unknown"}, 1)
	if diff := cmp.Diff(before, two.Status()); diff != "" {
		t.Errorf("what it does not have, -want +got:\n%s", diff)
	}
}
