package proxy

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/config"
	"anyport/proxy/route"
)

// served returns a Server with n routes in service, each with counters of its own.
func served(n int) *Server {
	var file []*config.Route
	for i := range n {
		file = append(file, &config.Route{
			Name: fmt.Sprint("route", i), Protocols: []config.Protocol{config.TCP, config.UDP},
			Origins: []config.Origin{{Text: "10.0.0.5", Weight: 1}},
		})
	}
	s := New(Options{Workers: 2, Log: slog.New(slog.DiscardHandler)})
	s.Try(nothing{}, file).Keep(nothing{})
	for i, r := range s.routes.Set().Routes {
		for shard := range 2 {
			c := r.Stats.Shard(shard)
			for range i%3 + 1 {
				c.Arrive(config.TCP)
				c.Arrive(config.UDP)
			}
			c.End(config.TCP, route.Closed)
			c.End(config.UDP, route.Denied)
			c.End(config.TCP, route.QueueFull)
			c.Bytes(config.TCP, route.ToOrigin, 10)
		}
	}
	return s
}

// TestSum: the sum is that of the status of each route.
func TestSum(t *testing.T) {
	s := served(5)
	s.routes.Set().Routes[3].Admit(config.TCP, netip.MustParseAddr("198.51.100.9"))
	sum := s.Sum()
	want := RouteStatus{Active: map[string]int64{"tcp": 0, "udp": 0}, Counts: Counts{Ended: map[string]map[string]uint64{"tcp": {}, "udp": {}}}}
	for _, r := range s.Status() {
		want.ConnsTotal += r.ConnsTotal
		want.ConnsActive += r.ConnsActive
		want.Denied += r.Denied
		want.Limited += r.Limited
		for protocol, n := range r.Active {
			want.Active[protocol] += n
		}
		for protocol, ended := range r.Ended {
			for verdict, n := range ended {
				want.Ended[protocol][verdict] += n
			}
		}
	}
	want.Datagrams = map[string]map[string]uint64{}
	if diff := cmp.Diff(want, sum); diff != "" || want.ConnsTotal == 0 || want.Denied == 0 || want.Limited == 0 {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// BenchmarkSum compares the two with very many routes.
func BenchmarkSum(b *testing.B) {
	s := served(60_000)
	b.Run("Sum", func(b *testing.B) {
		for b.Loop() {
			s.Sum()
		}
	})
	b.Run("Status", func(b *testing.B) {
		for b.Loop() {
			s.Status()
		}
	})
}
