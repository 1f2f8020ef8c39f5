package integration

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestShadowedListeners checks that anyport does not take the port of a listener of the
// host unless told to, and that it names the listener's process and how to leave it
// alone.
func TestShadowedListeners(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, network, listener, prefix string
		shadowed                        bool
	}{
		{"bound to a served address", "tcp", "192.0.2.7:22", "192.0.2.0/24", true},
		{"bound to a served address, udp", "udp", "192.0.2.7:53", "192.0.2.0/24", true},
		{"bound to a served address, v6", "tcp", "[2001:db8:1::7]:22", "2001:db8:1::/48", true},
		{"wildcard, the prefix is an address of the host", "tcp4", "0.0.0.0:22", edgeV4, true},
		{"wildcard of both families", "udp", "[::]:53", edgeV4, true},
		{"wildcard, the prefix is nobody's", "tcp", "[::]:22", "192.0.2.0/24", false},
		{"bound elsewhere", "tcp", "10.0.0.1:22", "192.0.2.0/24", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			if c.network == "udp" {
				r.edge.listenPacket(t, c.listener)
			} else {
				r.edge.listenOn(t, c.network, c.listener)
			}
			route := fmt.Sprintf("[route.all]\nprotocol = %q\nprefixes = [%q]\norigins = [\"10.0.0.5\"]\n", c.network[:3], c.prefix)
			if !c.shadowed {
				r.edge.serveWith(t, route)
				return
			}
			p := r.edge.launch(t, route)
			if status := p.wait(t); status != 1 {
				t.Errorf("exit status %d, want 1", status)
			}
			port := netip.MustParseAddrPort(c.listener).Port()
			p.expect(t, fmt.Sprint(os.Getpid()), ownName(t), c.listener, fmt.Sprintf("ports = [%d]", port), `action = "pass"`, "shadow_listeners")
			p = r.edge.serveWith(t, "[steering]\nshadow_listeners = true\n"+route)
			p.expect(t, "level=WARN", "not reached", fmt.Sprint(os.Getpid()), ownName(t), c.listener)
		})
	}
}

// ownName is what the kernel calls this process.
func ownName(t *testing.T) string {
	t.Helper()
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}

// TestOwnListeners checks that anyport does not take its own reply sockets for listeners of the host, even if
// /proc shows another PID namespace.
func TestOwnListeners(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.answer(t, "10.0.0.5:4711", func(question []byte) []byte { return question })
	p := r.edge.launchAs(t, func(file string) *exec.Cmd {
		cmd := anyportRun(file)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
		return cmd
	}, relayFile)
	p.expect(t, "msg=serving")
	flow := r.client.dialUDP(t, dstV4+":4711")
	warm(t, flow)
	p.reloads(t)
	warm(t, flow)
}

// TestHostIsNotCutOff checks which prefixes of this very host are refused.
func TestHostIsNotCutOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.route(t, "0.0.0.0/0", clientV4)
	for _, c := range []struct{ prefix, names string }{
		{"10.0.0.0/8", "subnet 10.0.0.0/24"},
		{"10.0.0.0/31", "address 10.0.0.1"},
		{"198.51.100.0/24", "gateway 198.51.100.2"},
		{"2001:db8::/32", "subnet 2001:db8:c::/64"},
	} {
		p := r.edge.launch(t, fmt.Sprintf("[route.all]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [\"[fd00:5::5]\"]\n", c.prefix))
		if status := p.wait(t); status != 1 {
			t.Errorf("%s: exit status %d, want 1", c.prefix, status)
		}
		p.expect(t, `route "all"`, c.prefix, c.names)
	}
}

// TestOneAdmin checks that a second anyport does not replace the first one.
func TestOneAdmin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.edge.serveWith(t, relayFile)
	second := r.edge.spawn(t, anyportRun(p.file))
	if status := second.wait(t); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	second.expect(t, p.socket)
	p.status(t)
}
