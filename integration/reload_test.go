package integration

import (
	"net/netip"
	"syscall"
	"testing"
)

// TestReload checks that SIGHUP puts a new file into service while old conns live on,
// and that a broken file changes nothing and is reported.
func TestReload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.both(t, "10.0.0.5:80", named("old"))
	r.origin.both(t, "10.0.0.6:80", named("new"))
	const old = `
[route.old]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
`
	p := r.edge.serveWith(t, old)
	conn := r.client.dial(t, "tcp", dstV4+":4711")
	talk(t, conn, "before")
	reaches := func(when, want, dst string) {
		t.Helper()
		for _, network := range []string{"tcp", "udp"} {
			if got := r.client.ask(network, netip.MustParseAddrPort(dst), want); got != want {
				t.Errorf("%s: %s %s: %s, want %s", when, network, dst, got, want)
			}
		}
	}
	reaches("at first", "old", "192.0.2.9:80")

	p.write(t, `
[route.new]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/25", "203.0.113.0/24"]
ports    = [80]
origins  = ["10.0.0.6"]
`)
	p.signal(t, syscall.SIGHUP)
	p.expect(t, "msg=reloaded", "generation=2")
	talk(t, conn, "after the reload")
	reaches("reloaded", "new", "192.0.2.9:80")
	reaches("reloaded", "new", "203.0.113.9:80")
	reaches("reloaded", refused, "192.0.2.9:4711")

	p.write(t, "[route.new]\nprefxes = [\"192.0.2.0/24\"]\n")
	p.signal(t, syscall.SIGHUP)
	p.expect(t, "level=ERROR", "reload refused", "prefxes", "did you mean")
	talk(t, conn, "after a broken file")
	reaches("after a broken file", "new", "203.0.113.9:80")
	if s := p.status(t); s.Config.Generation != 2 || len(s.Routes) != 1 || s.Routes[0].Name != "new" {
		t.Errorf("after a broken file: %+v", s)
	}

	p.write(t, "[listen]\nworkers = 2\n"+old)
	p.signal(t, syscall.SIGHUP)
	p.expect(t, "level=ERROR", "listen.workers", "restart")
	reaches("after a change that needs a restart", "new", "203.0.113.9:80")
}
