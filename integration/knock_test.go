package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// doors reads to whom the status says a door is open.
func (p *proxy) doors(t *testing.T) (clients []string) {
	t.Helper()
	var s struct {
		Doors []struct{ Route, Client string }
	}
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	for _, d := range s.Doors {
		clients = append(clients, d.Route+" "+d.Client)
	}
	return clients
}

// knocksOpened reads how many datagrams have opened a door.
func (p *proxy) knocksOpened(t *testing.T) int {
	t.Helper()
	var s struct{ Knocks map[string]int }
	if err := json.Unmarshal(p.statusJSON(t), &s); err != nil {
		t.Fatal(err)
	}
	return s.Knocks["opened"]
}

// admitted tries to get an echo from the route.
func (h *host) admitted(address string) error {
	conn, err := h.tryDial("tcp", "", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	return hearBack(conn, "let in")
}

// TestKnock knocks with plain connection attempts, which stay refused.
func TestKnock(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, fmt.Sprintf("[route.ssh]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [4711]\norigins = [\"10.0.0.5\"]\nknock = [7000, 1234, 9000]\n", servedV4))
	knock := func(ports ...int) {
		for _, port := range ports {
			if _, err := r.client.tryDial("tcp", "", fmt.Sprintf("%s:%d", dstV4, port)); outcome(err) != refused {
				t.Errorf("port %d: %v", port, err)
			}
		}
	}
	knock(7000, 1234, 1235, 9000)
	if err := r.client.admitted(dstV4 + ":4711"); outcome(err) != refused {
		t.Fatal("without a knock:", err)
	}
	knock(7000, 1234)
	said := r.edge.output(t, program, "explain", "--socket", p.socket, "tcp", dstV4+":4711", "--from", clientV4)
	if !strings.Contains(said, "knock needed: 2 of 3 seen") {
		t.Errorf("explained by\n%s", said)
	}
	knock(9000)
	if err := r.client.admitted(dstV4 + ":4711"); err != nil {
		t.Fatal("after the knock:", err)
	}
	if got := p.doors(t); len(got) != 1 || got[0] != "ssh "+clientV4 {
		t.Errorf("doors: %v", got)
	}
	p.expect(t, "opened a door", "route=ssh", "by=ports")
	r.edge.output(t, program, "reload", "--socket", p.socket)
	if err := r.client.admitted(dstV4 + ":4711"); err != nil {
		t.Error("after a reload:", err)
	}
}

// TestKnockDatagram opens the door with the command and with the scripts of the guide, once
// each, and sends again what has opened it.
func TestKnockDatagram(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	dir := t.TempDir()
	keys := filepath.Join(dir, "keys")
	if err := os.WriteFile(keys, []byte("alice MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := r.edge.serveWith(t, fmt.Sprintf("[knock]\nkeys = %q\n[route.ssh]\nprotocol = \"tcp\"\nprefixes = [%q]\nports = [4711]\norigins = [\"10.0.0.5\"]\nknock = [\"spa\"]\nknock_window = \"1s\"\n", keys, servedV4))
	time.Sleep(1100 * time.Millisecond) // what was made in the second of the start is refused
	closed := func() bool { return outcome(r.client.admitted(dstV4+":4711")) == refused }
	opened := 0
	opens := func(how string) {
		t.Helper()
		opened++
		eventually(t, how+" opens the door", func() bool { return p.knocksOpened(t) == opened })
		eventually(t, how+": the door closes again", func() bool { return len(p.doors(t)) == 0 })
	}
	if !closed() {
		t.Fatal("the door is open before a knock")
	}

	send := func(text string) {
		conn := r.client.dial(t, "udp", dstV4+":62201")
		defer conn.Close()
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	sign := func(text string) string {
		mac := hmac.New(sha256.New, []byte("0123456789abcdef0123456789abcdef"))
		mac.Write([]byte(text))
		return fmt.Sprintf("%s %x", text, mac.Sum(nil))
	}
	datagram := sign(fmt.Sprintf("anyport-knock 1 alice %d %032x ssh %s", time.Now().Unix(), 1, clientV4))
	send(datagram)
	opens("a datagram")
	send(datagram)
	p.expect(t, "refused a knock", "verdict=replayed")
	send(sign(fmt.Sprintf("anyport-knock 1 alice %d %032x ssh seen", time.Now().Add(-2*time.Minute).Unix(), 2)))
	send(sign(fmt.Sprintf("anyport-knock 1 alice %d %032x ssh seen", time.Now().Unix(), 3)) + "\n")
	if !closed() || len(p.doors(t)) > 0 || p.knocksOpened(t) != 1 {
		t.Error("a datagram that is replayed, late or damaged has opened the door")
	}

	r.client.output(t, program, "knock", dstV4, "--route", "ssh", "--key", keys)
	opens("anyport knock")
	for info, run := range map[string]string{"python": "python3", "bash": "bash"} {
		if _, err := exec.LookPath(run); err != nil {
			t.Fatal(err)
		}
		script := filepath.Join(dir, info)
		if err := os.WriteFile(script, []byte(guideScript(t, info)), 0o600); err != nil {
			t.Fatal(err)
		}
		r.client.output(t, run, script, dstV4, "ssh", keys)
		opens(info)
	}
}

// guideScript is the only block of that kind in the guide.
func guideScript(t *testing.T, info string) string {
	t.Helper()
	for _, b := range documents(t)["../docs/how-to/knock.md"] {
		if b.info == info {
			return b.text
		}
	}
	t.Fatalf("the guide has no %s", info)
	return ""
}
