package route

import (
	"testing"

	"anyport/config"
)

// TestDrain: a draining route takes nothing new, also after a reload; what it has
// goes on, and it takes new ones again after the drain is undone.
func TestDrain(t *testing.T) {
	l := NewLive(1)
	serve := func() *Route {
		l.Swap(nothing{}, []*config.Route{{Name: "r"}, {Name: "other"}})
		return l.Set().Routes[0]
	}
	want := func(verdict Verdict, when string) {
		t.Helper()
		for _, protocol := range []config.Protocol{config.TCP, config.UDP} {
			r := l.Set().Routes[0]
			if got := r.Admit(protocol, alice); got != verdict {
				t.Errorf("%s, %v: %v, want %v", when, protocol, got, verdict)
			}
		}
	}
	before := serve()
	want(Admitted, "at first")
	l.Drain("r", true)
	want(Draining, "draining")
	if got := l.Set().Named("other").Admit(config.TCP, alice); got != Admitted {
		t.Errorf("another route: %v", got)
	}
	after := serve()
	want(Draining, "after a reload")
	if got := after.Stats.Active(config.TCP); got != 1 {
		t.Errorf("%d conns are left, want 1", got)
	}
	before.Release(config.TCP, alice)
	before.Release(config.UDP, alice)
	checkEmpty(t, after)

	l.Drain("r", false)
	want(Admitted, "undone")
	l.Drain("no such route", true)
}
