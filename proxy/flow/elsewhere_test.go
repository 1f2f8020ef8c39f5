package flow_test

import (
	"testing"

	"anyport/proxy/flow"
)

// TestIsShortHeader: what is asked about as QUIC.
func TestIsShortHeader(t *testing.T) {
	long := string(make([]byte, 40))
	query := "\x4a\x01\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
	for _, test := range []struct {
		name, datagram string
		want           bool
	}{
		{"a short header", "\x40" + long, true},
		{"with all other bits", "\x7f" + long, true},
		{"the shortest", "\x40" + long[:20], true},
		{"shorter", "\x40" + long[:19], false},
		{"a long header", "\xc0" + long, false},
		{"RTP", "\x80" + long, false},
		{"STUN", "\x00" + long, false},
		{"nothing", "", false},
		{"a query of DNS", query + long, false},
		{"and its answer", query[:2] + "\x81" + query[3:] + long, true},
		{"with two questions", query[:5] + "\x02" + query[6:] + long, true},
	} {
		if got := flow.IsShortHeader([]byte(test.datagram)); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
