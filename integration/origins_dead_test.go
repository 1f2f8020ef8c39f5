package integration

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// deadOrigins are routes whose only origin does not take conns, each in another way, by the port of dst:
// without checks, and on port + 10 with them.
var deadOrigins = []struct {
	name, origin string
	port         int
	class, errno string
}{
	{"refuses", originV4 + ":4001", 81, "refused", "ECONNREFUSED"},
	{"silent", originV4 + ":4002", 82, "timeout", "ETIMEDOUT"},
	{"no-route", "203.0.113.9:4003", 83, "unreachable", "ENETUNREACH"},
}

// deadOriginsFile serves deadOrigins, and a route whose origin works.
func deadOriginsFile(access string) string {
	const route = `
[route.%s]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [%d]
origins  = [%q]
%s`
	const checks = `health = { interval = "200ms", timeout = "100ms", fall = 1, rise = 1 }`
	file := fmt.Sprintf("http = \"127.0.0.1:9765\"\n[log]\naccess = %q\n[defaults]\nconnect_timeout = \"100ms\"\n", access)
	for _, d := range deadOrigins {
		file += fmt.Sprintf(route, d.name, d.port, d.origin, "") + fmt.Sprintf(route, d.name+"-checked", d.port+10, d.origin, checks)
	}
	return file + fmt.Sprintf(route, "works", 80, originV4+":4000", "") + fmt.Sprintf(route, "works-checked", 90, originV4+":4000", checks)
}

// TestDeadOrigins: routes whose origins are all dead do not look healthy. Status has their state, the last
// error and since when, the metrics count the errors, the access log has the origin and its errno, and the
// log has one warning, also over a reload and an upgrade, and one line when an origin is back.
func TestDeadOrigins(t *testing.T) {
	t.Parallel()
	needTool(t, "iptables")
	r := newRig(t)
	r.origin.serve(t, originV4+":4000", echo)
	r.origin.output(t, "sh", "-c", "iptables -w -A INPUT -p tcp --dport 4002 -j DROP")
	access := filepath.Join(t.TempDir(), "access.log")
	p := r.edge.serveWith(t, deadOriginsFile(access))
	f := newFamily(t, p)
	visit := func(port int) {
		t.Helper()
		if conn, err := r.client.tryDial("tcp", "", fmt.Sprintf("%s:%d", dstV4, port)); err == nil { // else the reset was faster
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}
	const visits = 4
	for range visits {
		for _, d := range deadOrigins {
			visit(d.port)
		}
	}
	look := func(when string, atLeast float64) {
		t.Helper()
		counted := p.scrape(t)
		for _, d := range deadOrigins {
			eventually(t, d.name+"-checked is down "+when, func() bool {
				r := p.status(t).route(t, d.name+"-checked")
				return r.Origins[0].Health == "down" && r.UnreachableSince != nil && !r.Origins[0].Up
			})
			route := p.status(t).route(t, d.name)
			if o := route.Origins[0]; o.Health != "unchecked" || o.LastError != d.class || o.LastErrno != d.errno || o.LastErrorAt == nil || o.FailingSince == nil {
				t.Errorf("%s: the origin of %s is %+v", when, d.name, o)
			}
			if route.UnreachableSince == nil {
				t.Errorf("%s: route %s looks healthy", when, d.name)
			}
			key := fmt.Sprintf("anyport_origin_connect_errors_total{error=%q,origin=%q,route=%q}", d.class, d.origin, d.name)
			if counted[key] < atLeast {
				t.Errorf("%s: %s is %v, want at least %v", when, key, counted[key], atLeast)
			}
			for _, name := range []string{d.name, d.name + "-checked"} {
				if n := strings.Count(p.String(), "msg=\"all origins of a route fail: see anyport status\" route="+name+" "); n != 1 {
					t.Errorf("%s: %d warnings about %s, want 1", when, n, name)
				}
			}
		}
		if o := p.status(t).route(t, "works").Origins[0]; o.Health != "unchecked" || o.LastError != "" || o.FailingSince != nil {
			t.Errorf("%s: the origin that works is %+v", when, o)
		}
		eventually(t, "works-checked is up "+when, func() bool { return p.status(t).route(t, "works-checked").Origins[0].Health == "up" })
	}
	look("at first", visits)
	text := anyport(t, "status", "--socket", p.socket).stdout
	for _, want := range []string{"refuses (UNREACHABLE)", "refuses/" + originV4 + ":4001 ", "  fails since ", ": refused (ECONNREFUSED)", ": unreachable (ENETUNREACH)", "works/" + originV4 + ":4000 "} {
		if !strings.Contains(text, want) {
			t.Errorf("status has no %q:\n%s", want, text)
		}
	}
	for _, d := range deadOrigins {
		eventually(t, "the access log says why "+d.name, func() bool {
			text, err := os.ReadFile(access)
			_, ok := find(string(text), []string{"route=" + d.name + " ", "origin=" + d.origin + " ", " error=" + d.class + " errno=" + d.errno})
			return err == nil && ok
		})
	}

	p.write(t, deadOriginsFile(access)+"\n[route.another]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\nports = [100]\norigins = [\"10.0.0.5\"]\n")
	f.reload(t)
	look("after a reload", visits)
	before := p.scrape(t)
	f.upgrade(t)
	for _, d := range deadOrigins {
		visit(d.port)
	}
	look("after an upgrade", visits+1)
	if names := fell(before, p.scrape(t)); names != nil {
		t.Errorf("smaller after an upgrade: %s", strings.Join(names, "\n"))
	}

	r.origin.serve(t, originV4+":4001", echo)
	conn := r.client.dial(t, "tcp", dstV4+":81")
	talk(t, conn, "hello")
	conn.Close()
	for _, name := range []string{"refuses", "refuses-checked"} {
		eventually(t, name+" is well", func() bool {
			r := p.status(t).route(t, name)
			return r.UnreachableSince == nil && r.Origins[0].FailingSince == nil && r.Origins[0].Up
		})
		p.expect(t, "an origin serves again, after all origins of the route have failed", "route="+name+" ")
	}
	if o := p.status(t).route(t, "refuses").Origins[0]; o.LastError != "refused" || o.Health != "unchecked" {
		t.Errorf("the origin that is back is %+v", o)
	}
	if _, page := r.edge.fetch(t, http.MethodGet, "/metrics"); !strings.Contains(page, "anyport_origin_up{origin=\"10.0.0.5:4001\",route=\"refuses-checked\"} 1\n") {
		t.Error("the metrics do not have it up")
	}
}
