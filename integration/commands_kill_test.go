package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killFile has a route for each state that a conn or flow can be in. 10.0.0.66 is an address that answers
// nothing: the conns that go there dial for an hour.
const killFile = `
[log]
access = %q

[defaults]
connect_timeout = "1h"
udp_idle_timeout = "1h"
half_close_timeout = "1h"

[route.open]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]

[route.dials]
protocol = "tcp"
prefixes = ["192.0.2.66"]
origins  = ["10.0.0.66:4711"]

[route.queue]
protocol = "tcp"
prefixes = ["192.0.2.67"]
origins  = [{ address = "10.0.0.5:4711", max_conns = 1 }]
queue    = 9
queue_timeout = "1h"

[route.named]
protocol = "tcp"
prefixes = ["192.0.2.68"]
origins  = ["10.0.0.5:4711"]
accept_proxy = ["0.0.0.0/0"]
header_timeout = "1h"

[route.shared]
protocol = "udp"
prefixes = ["192.0.2.69"]
origins  = ["10.0.0.5:4712"]
proxy_protocol = "spp"
`

// liveFlow is a line of "anyport flows --json".
type liveFlow struct {
	ID, Protocol, Client, Route, Origin, State, Path string

	Reason   string  `json:"path_reason"`
	Idle     float64 `json:"idle_seconds"`
	ToOrigin uint64  `json:"bytes_to_origin"`
}

// flows lists the live conns and flows.
func (p *proxy) flows(t *testing.T, args ...string) []liveFlow {
	t.Helper()
	got := anyport(t, append([]string{"flows", "--json", "--socket", p.socket}, args...)...)
	var all struct{ Flows []liveFlow }
	if err := json.Unmarshal([]byte(got.stdout), &all); err != nil || got.status != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
	return all.Flows
}

// isReset reports whether the next read of a conn finds RST.
func isReset(conn net.Conn) bool {
	conn.SetReadDeadline(time.Now().Add(patience))
	_, err := io.Copy(io.Discard, conn)
	return errors.Is(err, syscall.ECONNRESET)
}

// TestKill ends conns in each state, and flows, by their id, their route and their client. Their clients get
// RST, no other conn is touched, and the access log says who has ended them.
func TestKill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.run(t, "ip neighbor add 10.0.0.66 lladdr 02:00:00:00:00:66 dev origin0") // else it is unreachable after 3 s without ARP
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	r.origin.answer(t, "10.0.0.5:4712", func([]byte) []byte { return nil })
	log := filepath.Join(t.TempDir(), "access.log")
	p := r.edge.serveWith(t, fmt.Sprintf(killFile, log))

	kept := r.client.dial(t, "tcp", "192.0.2.7:4711")
	talk(t, kept, "hello")
	conns := map[string]net.Conn{}
	dial := func(state, dst string) {
		t.Helper()
		conns[state] = r.client.dial(t, "tcp", dst)
		eventually(t, "a conn is "+state, func() bool {
			return len(p.flows(t, "--client", conns[state].LocalAddr().String(), "--state", state)) == 1
		})
	}
	dial("open", "192.0.2.7:4711")
	dial("connecting", "192.0.2.66:1")
	dial("naming", "192.0.2.68:1")
	held := r.client.dial(t, "tcp", "192.0.2.67:1")
	talk(t, held, "hello")
	dial("waiting", "192.0.2.67:1")
	silent := r.origin.listen(t, "10.0.0.5:4713") // it accepts, and never closes
	defer silent.Close()
	half := r.client.dial(t, "tcp", "192.0.2.7:4713").(*net.TCPConn)
	half.CloseWrite()
	conns["half_closed"] = half
	eventually(t, "a conn is half closed", func() bool { return len(p.flows(t, "--state", "half_closed")) == 1 })

	for state, conn := range conns {
		of := p.flows(t, "--client", conn.LocalAddr().String())
		if len(of) != 1 || of[0].State != state {
			t.Fatalf("%s: listed %+v", state, of)
		}
		got := p.ask(t, "kill "+of[0].ID)
		if got.status != 0 || got.stdout != "1 conn or flow ended\n" {
			t.Errorf("%s: %+v", state, got)
		}
		if left := p.flows(t, "--client", conn.LocalAddr().String()); len(left) != 0 {
			t.Errorf("%s: it lives on: %+v", state, left)
		}
		if !isReset(conn) {
			t.Errorf("%s: the client got no RST", state)
		}
		if again := p.ask(t, "kill "+of[0].ID); again.status != 1 || !strings.Contains(again.stderr, "no live conn or flow has the ID "+of[0].ID) {
			t.Errorf("%s: a second time: %+v", state, again)
		}
	}

	talker, quiet := r.client.dial(t, "udp", "192.0.2.7:4711"), r.client.dial(t, "udp", "192.0.2.69:4711")
	trade(t, talker, "ping")
	quiet.Write([]byte("ping"))
	eventually(t, "a flow is unanswered", func() bool { return len(p.flows(t, "--state", "unanswered")) == 1 })
	if got := p.ask(t, "kill --client 198.51.100.0/24 --protocol udp"); got.status != 0 || got.stdout != "2 conns and flows ended\n" {
		t.Errorf("flows: %+v", got)
	}
	if left := p.flows(t, "--protocol", "udp"); len(left) != 0 {
		t.Errorf("flows live on: %+v", left)
	}
	trade(t, talker, "ping") // begins again

	if got := p.ask(t, "kill --route queue"); got.status != 0 || got.stdout != "1 conn or flow ended\n" {
		t.Errorf("of a route: %+v", got)
	}
	if got := p.ask(t, "kill --route nobody"); got.status != 1 || !strings.Contains(got.stderr, `no route "nobody" is in service`) {
		t.Errorf("of no route: %+v", got)
	}
	if got := p.ask(t, "kill --client 203.0.113.0/24"); got.status != 0 || got.stdout != "0 conns and flows ended\n" {
		t.Errorf("of nobody: %+v", got)
	}
	talk(t, kept, "still here")
	p.expect(t, "conns killed by an operator", "route=queue", "ended=1")
	eventually(t, "the access log has all of them", func() bool {
		text, err := os.ReadFile(log)
		return err == nil && strings.Count(string(text), "verdict=killed") == 8
	})
	if got := p.status(t).route(t, "queue"); got.Ended["tcp"]["killed"] != 2 || *got.QueueWaiting != 0 {
		t.Errorf("the status has %v, %d wait", got.Ended, *got.QueueWaiting)
	}
}
