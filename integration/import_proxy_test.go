package integration

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// imported is the file that `anyport import` makes of a configuration.
func imported(t *testing.T, of, text string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), of+".conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"import", of, path}, flags...)...)
	var report strings.Builder
	cmd.Stderr = &report
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, report.String())
	}
	return string(out)
}

// TestImportedHAProxy: anyport with what it imports of HAProxy's configuration does the same: the
// client is let in, its origin learns the client from a header, and the origin is checked.
func TestImportedHAProxy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:8080", witness)
	p := r.edge.serveWith(t, imported(t, "haproxy", `
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m

frontend edge
    bind 0.0.0.0:4711 transparent
    tcp-request connection reject if { src 198.51.100.3 }
    default_backend app

backend app
    balance source
    server a 10.0.0.5:8080 send-proxy-v2 check inter 200ms
    server down 10.0.0.5:8081 send-proxy-v2 check inter 200ms fall 1
`, "--prefix", servedV4))
	eventually(t, "the checks find one origin up and one down", func() bool {
		origins := p.status(t).Routes[0].Origins
		return origins[0].CheckedAt != nil && origins[0].Up && !origins[1].Up
	})
	var err error
	r.client.do(func() { err = askTCP("tcp4", netip.MustParseAddrPort(dstV4+":4711")) })
	if err != nil {
		t.Error(err)
	}
}

// TestImportedTransparent: a server that HAProxy dials from the client's address sees the client itself,
// by what import makes of it.
func TestImportedTransparent(t *testing.T) {
	t.Parallel()
	r := newTransparentRig(t)
	r.edge.serveWith(t, imported(t, "haproxy", `
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m

listen any
    bind 0.0.0.0:1-65535 transparent
    source 0.0.0.0 usesrc clientip
    server a 10.0.0.5
`, "--prefix", servedV4))
	seenAsClient(t, "imported", r.client.dial(t, "tcp", port(dstV4, 4711)), "who am I?")
}

// TestImportedNginx: the same for a stream block, which serves a range over TCP and UDP.
func TestImportedNginx(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:7001", named("first"))
	r.origin.both(t, "10.0.0.5:9000", named("mapped"))
	r.edge.serveWith(t, imported(t, "nginx", `
events {}
stream {
    map $server_port $to { 7002 10.0.0.5:9000; default 10.0.0.5:7001; }
    server {
        listen [::]:7001-7099 ipv6only=off;
        listen 7001-7099 udp;
        proxy_pass $to;
        proxy_timeout 30s;
    }
}
`, "--prefix", servedV4, "--prefix", servedV6))
	for _, q := range []struct{ network, dst, want string }{
		{"tcp", dstV4 + ":7001", "first"}, {"udp", dstV4 + ":7001", "first"},
		{"tcp", "[" + dstV6 + "]:7002", "mapped"}, {"udp", dstV4 + ":7002", "mapped"},
	} {
		if got := r.client.ask(q.network, netip.MustParseAddrPort(q.dst), q.want); got != q.want {
			t.Errorf("%s %s: %q, want %s", q.network, q.dst, got, q.want)
		}
	}
}
