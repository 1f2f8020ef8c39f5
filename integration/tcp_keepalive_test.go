package integration

import (
	"net"
	"net/http"
	"strings"
	"testing"
)

const keepaliveFile = `
[route.web]
protocol  = "tcp"
prefixes  = ["192.0.2.0/24"]
origins   = ["10.0.0.5"]
keepalive = "1s"
`

// TestVanished has a host lose its network while a conn is idle. Keepalive finds that
// side dead, long before idle_timeout, and anyport ends the other side.
func TestVanished(t *testing.T) {
	t.Parallel()
	needTool(t, "iptables")
	for _, test := range []struct {
		name, verdict string
		victim        func(*rig) *host
		told          func(pair) *net.TCPConn
	}{
		{"client", "client_timeout", func(r *rig) *host { return r.client }, func(p pair) *net.TCPConn { return p.origin }},
		{"origin", "origin_timeout", func(r *rig) *host { return r.origin }, func(p pair) *net.TCPConn { return p.client }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.edge.serveWith(t, "http = \"127.0.0.1:9765\"\n"+keepaliveFile)
			p, err := r.pairs(t)()
			if err != nil {
				t.Fatal(err)
			}
			defer p.client.Close()
			defer p.origin.Close()
			test.victim(r).run(t, "iptables -I INPUT -j DROP\niptables -I OUTPUT -j DROP")
			eventually(t, "a conn that ended by "+test.verdict, func() bool {
				_, metrics := r.edge.fetch(t, http.MethodGet, "/metrics")
				return strings.Contains(metrics, `anyport_connections_total{protocol="tcp",route="web",verdict="`+test.verdict+`"} 1`)
			})
			if _, err := test.told(p).Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
				t.Errorf("the other side got %v, want RST", err)
			}
		})
	}
}
