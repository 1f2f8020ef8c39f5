package config

import (
	"testing"
	"time"
)

func TestFlowIdle(t *testing.T) {
	for _, test := range []struct {
		name, defaults, route string
		dns, quic, other      time.Duration
	}{
		{"nobody says", "", "", 17 * time.Second, 2 * time.Minute, time.Minute},
		{"the defaults say", "10s", "", 10 * time.Second, 10 * time.Second, 10 * time.Second},
		{"the route says", "", "20s", 20 * time.Second, 20 * time.Second, 20 * time.Second},
		{"the route says otherwise", "10s", "20s", 20 * time.Second, 20 * time.Second, 20 * time.Second},
		{"the route goes back", "10s", "auto", 17 * time.Second, 2 * time.Minute, time.Minute},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := parse(t, idleKey("[defaults]", test.defaults)+`
[route.a]
protocol = "udp"
prefixes = ["192.0.2.1"]
action = "drop"`+idleKey("", test.route)).Routes[0]
			for port, want := range map[uint16]time.Duration{53: test.dns, 443: test.quic, 54: test.other} {
				if got := r.FlowIdle(port); got != want {
					t.Errorf("port %d: %v, want %v", port, got, want)
				}
			}
			if got := r.LongestFlowIdle(); got != test.quic {
				t.Errorf("the longest is %v, want %v", got, test.quic)
			}
		})
	}
}

// idleKey is the key below a header, or nothing.
func idleKey(header, value string) string {
	if value == "" {
		return ""
	}
	return header + "\nudp_idle_timeout = \"" + value + "\"\n"
}
