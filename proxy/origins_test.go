package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/health"
)

// serverWith is a Server whose only route has n origins with a check, which never run.
func serverWith(n int) *Server {
	s := New(Options{Workers: 1, Log: slog.New(slog.DiscardHandler)})
	r := &config.Route{Name: "web", Protocols: []config.Protocol{config.TCP}, Action: config.Forward, OnAllDown: config.RefuseAll, Health: &config.Health{Interval: time.Hour, Rise: 2, Fall: 3}}
	for i := range n {
		r.Origins = append(r.Origins, config.Origin{Text: fmt.Sprint("o", i), Addr: netip.MustParseAddr("10.0.0.5"), Ports: config.PortRange{First: 80, Last: 80}, Weight: 1})
	}
	s.Try(nothing{}, []*config.Route{r}).Keep(nothing{})
	return s
}

type nothing struct{}

func (nothing) Lookup(config.Protocol, netip.AddrPort) *config.Route { return nil }
func (nothing) Passes(config.Protocol, netip.AddrPort) bool          { return false }

// TestOriginStates: what one process says about its origins, another one goes on with.
func TestOriginStates(t *testing.T) {
	old, next := serverWith(3), serverWith(3)
	if n := len(old.OriginStates()); n != 0 || old.checks.Len() != 1 {
		t.Errorf("at first %d states, and %d checks of one address", n, old.checks.Len())
	}
	origins := old.routes.Set().Named("web").Origins().Origins
	origins[0].SetChecked(true, "status 503", time.Now())
	if err := old.ForceOrigin("web", "o1", health.Drain); err != nil {
		t.Fatal(err)
	}
	next.RestoreOrigins(old.OriginStates())
	for i, want := range []health.Verdict{health.CheckFailed, health.ForcedDrain, health.Up} {
		o := next.routes.Set().Named("web").Origins().Origins[i]
		if o.Standing() != want || o.State() != origins[i].State() {
			t.Errorf("origin %d: %v, %+v, want %v", i, o.Standing(), o.State(), want)
		}
	}
	if down := next.AllDown(); len(down) != 0 {
		t.Errorf("all down: %v", down)
	}
	if err := next.ForceOrigin("web", "o2", health.Down); err != nil || !next.AllDown()["web"] {
		t.Errorf("not all down: %v, %v", next.AllDown(), err)
	}
}

// TestOriginOrdersOfTrial: what an operator orders during a trial is an order also for an origin that only the new side
// has: in its twin of a route of both, and in a route of its own.
func TestOriginOrdersOfTrial(t *testing.T) {
	s := serverWith(1)
	next := *s.routes.Set().Routes[0].Route
	next.Origins = append(slices.Clip(next.Origins), next.Origins[0])
	next.Origins[1].Text, next.Origins[1].Ports = "new", config.PortRange{First: 81, Last: 81}
	added := next
	added.Name = "added"
	sides := s.Share(nothing{}, []*config.Route{&next, &added}, func(netip.Addr) bool { return true })
	if err := errors.Join(s.ForceOrigin("web", "new", health.Drain), s.ForceOrigin("added", "o0", health.Down)); err != nil {
		t.Fatal(err)
	}
	orders := s.OriginOrders()
	if len(orders["web"]) != 1 || orders["web"]["new"].Forced != "drain" || orders["added"]["o0"].Forced != "down" || len(s.OriginStates()["web"]) != 1 {
		t.Errorf("during the trial: %+v", orders)
	}
	again := New(Options{Workers: 1, Log: slog.New(slog.DiscardHandler)}) // after a crash it starts with the new file
	again.Try(nothing{}, []*config.Route{&next, &added}).Keep(nothing{})
	again.RestoreOrigins(orders)
	if got := again.OriginOrders(); got["web"]["new"].Forced != "drain" || got["added"]["o0"].Forced != "down" {
		t.Errorf("after it: %+v", got)
	}
	sides.TryOld().Keep(nothing{})
	if got := s.OriginOrders(); len(got) != 0 {
		t.Errorf("after --back: %+v", got)
	}
}

// TestManyOriginStates: however many origins are down, the orders of operators are among what is sent.
func TestManyOriginStates(t *testing.T) {
	s := serverWith(mostStates + 10)
	origins := s.routes.Set().Named("web").Origins().Origins
	for _, o := range origins {
		o.SetChecked(true, "refused", time.Now())
	}
	last := origins[len(origins)-1]
	last.Force(health.Down, "by hand", time.Now())
	states := s.OriginStates()["web"]
	if len(states) != mostStates+1 || states[last.Text].Forced != "down" {
		t.Errorf("%d states, the forced one is %+v", len(states), states[last.Text])
	}
}
