package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReloadThatTheKernelRefuses loads a file that check accepts and that the maps have
// no room for. Nothing changes, not even for routes that the file leaves out: their
// counters continue, max_conns counts the live conns, and no conn ends, whatever its
// drain_timeout.
func TestReloadThatTheKernelRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	const file = "[defaults]\ndrain_timeout = \"0s\"\n[route.web]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\nmax_conns = 1\n"
	p := r.edge.serveWith(t, file)
	for range 3 {
		conn := r.client.dial(t, "tcp", dstV4+":4711")
		talk(t, conn, "one after the other")
		conn.Close()
		eventually(t, "it has ended", func() bool { return p.status(t).route(t, "web").ConnsActive == 0 })
	}
	conn := r.client.dial(t, "tcp", dstV4+":4711")
	talk(t, conn, "before")

	var many strings.Builder
	for i := range 1100 {
		fmt.Fprintf(&many, "[route.r%d]\nprotocol = \"tcp\"\nprefixes = [\"198.18.%d.%d\"]\norigins = [\"10.0.0.5\"]\n", i, i/256, i%256)
	}
	p.write(t, many.String())
	if got := anyport(t, "reload", "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "has room for") {
		t.Fatalf("reload: %+v", got)
	}
	talk(t, conn, "after")
	if web := p.status(t).route(t, "web"); web.ConnsActive != 1 || web.ConnsTotal != 4 {
		t.Errorf("%d conns, %d in all, want 1 and 4", web.ConnsActive, web.ConnsTotal)
	}
	beyond, err := r.client.tryDial("tcp", "", dstV4+":4711")
	if err == nil {
		defer beyond.Close()
		err = hearBack(beyond, "one too many")
	}
	if err == nil {
		t.Error("a conn beyond max_conns is served")
	}
	conn.Close()
}

// TestBecomesTheHosts reloads a file that leaves a dst to the host, by a pass route, or
// by no route at all if the address is the host's own. The old flow does not withhold
// the host's datagrams, and a conn lives on.
func TestBecomesTheHosts(t *testing.T) {
	t.Parallel()
	const pass = "[route.pass]\nprotocol = \"udp\"\nprefixes = [\"192.0.2.7\"]\nports = [4711]\naction = \"pass\"\n"
	const elsewhere = "[route.other]\nprotocol = [\"tcp\", \"udp\"]\nprefixes = [\"203.0.113.0/24\"]\norigins = [\"10.0.0.5\"]\n"
	for name, next := range map[string]string{"pass": relayFile + pass, "no prefix": elsewhere} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.edge.local(t, servedV4)
			r.origin.serve(t, "10.0.0.5:4711", echo)
			r.origin.answer(t, "10.0.0.5:4711", named("origin"))
			access := filepath.Join(t.TempDir(), "access.log")
			log := fmt.Sprintf("[log]\naccess = %q\n", access)
			p := r.edge.serveWith(t, log+relayFile)
			conn, flow := r.client.dial(t, "tcp", dstV4+":4711"), r.client.dial(t, "udp", dstV4+":4711")
			talk(t, conn, "before")
			if got := trade(t, flow, "before"); got != "origin before" {
				t.Fatalf("before: %q", got)
			}
			p.write(t, log+next)
			if got := anyport(t, "reload", "--socket", p.socket); got.status != 0 {
				t.Fatalf("reload: %+v", got)
			}
			eventually(t, "the flow is written down as one without a route", func() bool {
				text, _ := os.ReadFile(access)
				return strings.Contains(string(text), "protocol=udp") && strings.Contains(string(text), "verdict=no_route")
			})
			r.edge.answer(t, dstV4+":4711", named("host")) // nobody else has the port
			if got := trade(t, flow, "after"); got != "host after" {
				t.Errorf("after: %q", got)
			}
			talk(t, conn, "after")
		})
	}
}
