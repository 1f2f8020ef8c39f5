package integration

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const anycastPage = "../docs/how-to/anycast.md"

// anycastClient is a client behind the router that both edges can answer.
const anycastClient = "198.51.100.9"

// hasty makes a session of BGP come up within seconds.
const hasty = "connect delay time 1; connect retry time 1; error wait time 1, 1; neighbor "

// routerConf is the other end of the page's BGP sessions.
const routerConf = `
router id 10.9.0.1;
protocol device { }
protocol kernel { ipv4 { export all; }; }
protocol bgp one { local 10.9.0.1 as 64496; neighbor 10.9.0.2 as 64500; ipv4 { import all; export none; }; }
protocol bgp two { local 10.10.0.1 as 64496; neighbor 10.10.0.2 as 64500; ipv4 { import all; export none; }; }
`

// TestAnycast: two edges announce a prefix as the page says. Clients reach the first one, the other one
// while the first is drained or dead, and the first again when it is back.
func TestAnycast(t *testing.T) {
	t.Parallel()
	needTool(t, "bird")
	router, one, two := newHost(t, "router"), newHost(t, "one"), newHost(t, "two")
	join(t, router.port("one0", "10.9.0.1/24"), one.port("router0", "10.9.0.2/24"))
	join(t, router.port("two0", "10.10.0.1/24"), two.port("router0", "10.10.0.2/24"))
	router.run(t, "ip addr add "+anycastClient+"/32 dev lo")
	at := router.newSession(t)
	at.startBIRD(t, routerConf)
	first := one.announce(t, "one", "10.9")
	router.awaitEdge(t, "one")
	two.announce(t, "two", "10.10")

	first.expect(t, "anyport drain", "…")
	router.awaitEdge(t, "two")
	first.expect(t, "anyport drain --undo", "…")
	at.expect(t, "birdc show route protocol one", "…\n192.0.2.0/24 …\n…")
	router.awaitEdge(t, "one")
	first.expect(t, "anyport reload", "…")
	first.expect(t, "kill -9 %2", "")
	router.awaitEdge(t, "two")
}

// startBIRD runs BIRD with a file, until the session ends.
func (s *session) startBIRD(t *testing.T, conf string) {
	t.Helper()
	conf = strings.ReplaceAll(conf, "neighbor ", hasty)
	if err := os.WriteFile(filepath.Join(s.dir, "bird.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "mkdir /run/bird && bird -f -c bird.conf 2>bird.log &", "")
	s.expect(t, "birdc show status", "…\nDaemon is up and running")
}

// announce makes an edge of a host by the page: its file, its script and its configuration of BIRD, with
// another network. The origin says the host's name.
func (h *host) announce(t *testing.T, name, network string) *session {
	t.Helper()
	h.run(t, "ip addr add 10.0.0.5/32 dev lo")
	h.route(t, anycastClient+"/32", network+".0.1")
	h.both(t, "10.0.0.5:4711", named(name))
	s := h.newSession(t)
	var conf string
	for _, b := range documents(t)[anycastPage] {
		switch b.info {
		case "toml":
			s.follow(t, b)
		case "conf bird":
			conf = strings.ReplaceAll(b.text, "10.9.0.", network+".0.")
		case "sh announce":
			if err := os.WriteFile(filepath.Join(s.dir, "anyport-announce"), []byte(b.text), 0o700); err != nil {
				t.Fatal(err)
			}
		case "conf unit":
			unit := strings.ReplaceAll(b.text, "/usr/local/sbin", s.dir)
			if err := os.WriteFile(filepath.Join(s.dir, "anyport-announce.service"), []byte(unit), 0o600); err != nil {
				t.Fatal(err)
			}
			s.expect(t, "systemd-analyze verify --man=no ./anyport-announce.service", "")
		}
	}
	s.startBIRD(t, conf)
	s.expect(t, "anyport run -c anyport.toml 2>anyport.log &", "")
	s.expect(t, "grep -o msg=serving anyport.log", "msg=serving")
	s.expect(t, "anyport-announce &", "")
	s.expect(t, "birdc show route export upstream", "…\n192.0.2.0/24 …\n…")
	s.expect(t, "ip route show table local 192.0.2.0/24", "local 192.0.2.0/24 …")
	return s
}

// awaitEdge waits until a new conn reaches the edge of that name.
func (h *host) awaitEdge(t *testing.T, name string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(3 * patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if conn, err := h.tryDial("tcp", anycastClient, "192.0.2.7:4711"); err == nil {
			conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprintln(conn, "who?")
			conn.(interface{ CloseWrite() error }).CloseWrite()
			answer, _ := io.ReadAll(conn)
			conn.Close()
			if got = string(answer); strings.Contains(got, name) {
				return
			}
		}
	}
	t.Fatalf("the last answer is %q, want %q", got, name)
}
