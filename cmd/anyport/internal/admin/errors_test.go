package admin

import (
	"slices"
	"testing"

	"anyport/proxy/route"
)

// noErrors are all other verdicts: in order, not begun yet, what a client, an operator or a limit of the route wanted, or of
// datagrams.
var noErrors = []string{
	"undecided", "admitted", "forwarded", "closed", "idle_timeout",
	"client_reset", "origin_reset", "client_timeout", "half_close_timeout", "queue_abandoned", "untrusted_peer",
	"no_route", "denied", "max_conns", "max_conns_per_client", "new_conns_per_second_per_client", "max_flows", "max_flows_per_client",
	"draining", "inactive", "responder", "looped", "drain_timeout", "max_age", "hours_over", "killed",
	"overflowed", "backlogged", "truncated", "port_zero", "too_large", "amplified", "send_failed", "origin_error", "flow_ended",
}

// TestErrorVerdicts: each verdict is an error or none, so that a new one has to be put into one of the lists.
func TestErrorVerdicts(t *testing.T) {
	known := map[string]bool{}
	for v := range route.Verdicts {
		known[v.String()] = true
		if slices.Contains(errorVerdicts, v.String()) == slices.Contains(noErrors, v.String()) {
			t.Errorf("%s has to be in one of the two lists", v)
		}
	}
	for _, word := range append(slices.Clone(errorVerdicts), noErrors...) {
		if !known[word] {
			t.Errorf("%s is no verdict", word)
		}
	}
}

func TestErrorsOfRoute(t *testing.T) {
	c := Counts{Ended: map[string]map[string]uint64{"tcp": {"connect_failed": 2, "closed": 100, "queue_full": 3}, "udp": {"evicted": 4, "denied": 50}}}
	if n := c.Errors(); n != 9 {
		t.Errorf("%d errors, want 9", n)
	}
}
