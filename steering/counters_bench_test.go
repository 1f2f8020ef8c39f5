package steering

import (
	"fmt"
	"testing"

	"anyport/config"
	"anyport/steering/internal/tabletest"
)

// BenchmarkCounters reads the counters of very many routes, each by itself and as a sum.
func BenchmarkCounters(b *testing.B) {
	cfg := &config.Config{}
	for n := range 60_000 {
		cfg.Routes = append(cfg.Routes, tabletest.Route(fmt.Sprint("route", n), "80", fmt.Sprintf("198.%d.%d.%d", 18+n>>16, n>>8&255, n&255)))
	}
	s := open(b, cfg)
	b.Run("Counters", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Counters(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("CountersSum", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.CountersSum(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Readiness", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Readiness(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
