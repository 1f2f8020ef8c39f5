package config

import (
	"slices"
	"testing"
)

func TestReflectors(t *testing.T) {
	for _, test := range []struct {
		width  int
		action Action
		allow  bool
		refuse bool
	}{
		{65535, Forward, false, true},
		{1025, Forward, false, true},
		{1024, Forward, false, false}, // narrow enough to mean each
		{1, Forward, false, false},
		{65535, Pass, false, false}, // the host's own is the host's business
		{65535, Drop, false, false},
		{65535, Forward, true, false},
	} {
		r := &Route{Action: test.action, Reflectors: test.allow}
		got := r.RefusedReflectors(test.width)
		if slices.Contains(got, 123) != test.refuse || slices.Contains(got, 7777) || !slices.IsSorted(got) {
			t.Errorf("a range of %d ports of a route to %v refuses %v", test.width, test.action, got)
		}
	}
}

func TestResponder(t *testing.T) {
	for _, test := range []struct {
		source, dst uint16
		want        bool
	}{
		{7, 7, true}, // two echo servers
		{19, 7, true},
		{53, 7777, true}, // an answer of a DNS server
		{53, 53, false},  // a resolver of before RFC 5452
		{123, 123, false},
		{123, 53, true},
		{69, 69, true},
		{1900, 7777, false}, // anybody's port
		{40000, 7, false},
		{22, 22, false},
	} {
		if got := Responder(test.source, test.dst); got != test.want {
			t.Errorf("from port %d to %d: %t", test.source, test.dst, got)
		}
	}
}
