package integration

import (
	"strings"
	"testing"
)

// TestDemoOfASmallMachine: the demo's sweep has room for its TIME_WAIT sockets also where
// the kernel keeps few, as it does with little memory. Beyond them it answers with RST.
func TestDemoOfASmallMachine(t *testing.T) {
	t.Parallel()
	h := newHost(t, "demo")
	h.sysctl(t, map[string]string{"net/ipv4/tcp_max_tw_buckets": "8"})
	h.output(t, "ip", "link", "set", "lo", "down") // or the demo takes the namespace for one in use
	said := h.output(t, "env", "ANYPORT_DEMO_INSIDE=1", program, "demo", "--ports", "1-300")
	if !strings.Contains(said, "Every answer came") {
		t.Errorf("the demo says %s", said)
	}
	if beyond := h.output(t, "nstat", "-asz", "TcpExtTCPTimeWaitOverflow"); strings.Fields(beyond)[2] != "0" {
		t.Errorf("sockets were forgotten: %s", beyond)
	}
}
