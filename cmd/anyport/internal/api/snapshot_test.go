package api

import (
	"slices"
	"testing"

	"anyport/proxy/route"
)

// dropped are the verdicts that the page lists as drops.
var dropped = []string{
	"refuse", "drop", "deny", "limit", "inactive", // of the kernel; the last one also of the proxy
	"no_route", "denied", "max_conns", "max_conns_per_client", "new_conns_per_second_per_client", "max_flows", "max_flows_per_client", "origin_max_conns",
	"queue_full", "queue_timeout", "queue_abandoned", "no_origin", "no_origin_for_client", "client_port_in_use", "connect_failed", "connect_timeout",
	"header_failed", "out_of_files", "out_of_ports", "draining", "responder", "looped", "untrusted_peer", "header_timeout", "relay_failed", "evicted",
	"origin_down", "overflowed", "backlogged", "truncated", "port_zero", "bad_header", "too_large", "amplified", "send_failed", "origin_error", "flow_ended",
}

// TestServedOrDropped: a new verdict has to be put into one of the two lists.
func TestServedOrDropped(t *testing.T) {
	words := []string{"steer", "refuse", "drop", "pass", "deny", "limit", "inactive", "socket"} // of the kernel
	for v := range route.Verdicts {
		words = append(words, v.String())
	}
	for _, word := range words {
		if served[word] == slices.Contains(dropped, word) {
			t.Errorf("%s: served %v, dropped %v", word, served[word], !served[word])
		}
	}
}
