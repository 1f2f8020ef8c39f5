package fleet

import (
	"testing"
)

// both are addresses of the two served prefixes.
var both = []string{"203.0.113.5:80", "[2001:db8::5]:80"}

// TestMove: conns live on when the router sends their packets to another edge, and back, and to a third,
// over both families inside and outside. Without peers they end.
func TestMove(t *testing.T) {
	t.Parallel()
	for name, six := range map[string]bool{"backplane IPv4": false, "backplane IPv6": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, 3)
			r.join(six)
			var conns []*conn
			for n := range r.edges {
				for _, at := range both {
					r.serve(n, at)
					for range 5 {
						conns = append(conns, r.dial(n, at))
					}
				}
			}
			for _, n := range []int{0, 1, 2, 1, 0, 2} {
				r.route(n)
				for range 3 {
					r.askAll(conns)
				}
				if t.Failed() {
					t.FailNow()
				}
			}
			for n, e := range r.edges {
				if c := e.fleet.Status().Counts; c.Asked == 0 || c.Straight == 0 || c.Taken == 0 || c.Learnt == 0 || c.Told == 0 || c.Forged != 0 || c.GivenUp != 0 {
					t.Errorf("edge %d: %+v", n+1, c)
				}
			}
		})
	}
}

// TestMoveWithoutPeers is the test of TestMove: the other edge answers with a reset.
func TestMoveWithoutPeers(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2)
	for _, at := range both {
		r.serve(0, at)
		r.serve(1, at)
		c := r.dial(0, at)
		if err := c.ask(); err != nil {
			t.Fatal(err)
		}
		r.route(1)
		if err := c.ask(); err == nil {
			t.Errorf("%s: the conn lives on", at)
		}
	}
}
