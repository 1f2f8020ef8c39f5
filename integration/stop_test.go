package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestGracefulStop checks a stop from the first signal to the end: the live conn
// continues, new ones are refused, the host's listeners stay hidden, and the process
// exits with 0 after the last conn.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.both(t, ":4711", named("host")) // the edge's own, on all its addresses
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, relayFile)
	conn := r.client.dial(t, "tcp", dstV4+":4711")
	talk(t, conn, "before")

	p.signal(t, syscall.SIGTERM)
	p.expect(t, "stopping")
	talk(t, conn, "after the signal")
	for _, dst := range []string{dstV4 + ":4711", "[" + dstV6 + "]:4711"} {
		if got := r.client.ask("tcp", netip.MustParseAddrPort(dst), refused); got != refused {
			t.Errorf("a new conn to %s while stopping: %s", dst, got)
		}
	}
	talk(t, conn, "after a refusal")
	conn.Close()
	if status := p.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestDrainTimeout checks that a stop cuts a conn that does not end. SIGQUIT stops as SIGTERM does, and dumps no
// stacks.
func TestDrainTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, "[defaults]\ndrain_timeout = \"300ms\"\n"+relayFile)
	conn := r.client.dial(t, "tcp", dstV4+":4711")
	talk(t, conn, "before")

	p.signal(t, syscall.SIGQUIT)
	if status := p.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client saw %v, want the end of its conn", err)
	}
}

// TestFlowSurvivesStop checks that a live flow continues after the signal, that new
// ones are refused, and that idle ones do not delay the end.
func TestFlowSurvivesStop(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	p := r.edge.serveWith(t, relayFile)
	conn := r.client.dial(t, "udp", dstV4+":4711")
	if got := trade(t, conn, "before"); got != "origin before" {
		t.Fatalf("answered %q", got)
	}
	p.signal(t, syscall.SIGTERM)
	p.expect(t, "stopping")
	if got := trade(t, conn, "after"); got != "origin after" {
		t.Errorf("answered %q", got)
	}
	if got := r.client.ask("udp", netip.MustParseAddrPort("192.0.2.8:4711"), silent); got == "origin" {
		t.Errorf("a new flow was begun while stopping")
	}
	if status := p.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// TestRoutes checks that anyport adds the missing routes, removes its own at the end,
// and leaves those that existed.
func TestRoutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.edge.local(t, servedV4)
	before := r.edge.routes(t)
	p := r.edge.serveWith(t, relayFile)
	if got := len(r.edge.routes(t)); got != len(before)+1 {
		t.Errorf("%d routes while serving, want one more than %d: IPv4 was there, IPv6 was not", got, len(before))
	}
	p.signal(t, syscall.SIGTERM)
	p.wait(t) // that the routes are as before is checked for every anyport, in leaves
}

// TestKilled checks that after kill -9 a new start serves at once, and in the end
// removes what the dead process left: its routes and its admin socket.
func TestKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.both(t, "10.0.0.5:4711", named("origin"))
	dst := netip.MustParseAddrPort(dstV4 + ":4711")
	p := r.edge.serveWith(t, relayFile) // what it leaves is looked at last of all
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	if got := r.client.ask("tcp", dst, refused); got == "origin" {
		t.Error("a dead process answered")
	}

	again := p.restart(t)
	if got := r.client.ask("tcp", dst, "origin"); got != "origin" {
		t.Errorf("after the new start: %s", got)
	}
	again.signal(t, syscall.SIGTERM)
	if status := again.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// talk sends a word and wants it back.
func talk(t *testing.T, conn io.ReadWriter, word string) {
	t.Helper()
	if err := hearBack(conn, word); err != nil {
		t.Fatal(err)
	}
}

func hearBack(conn io.ReadWriter, word string) error {
	if _, err := io.WriteString(conn, word); err != nil {
		return fmt.Errorf("%s: %w", word, err)
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("sent %q, got %q: %w", word, got, err)
	}
	if string(got) != word {
		return fmt.Errorf("sent %q, got %q", word, got)
	}
	return nil
}

// TestStopInHandshake stops anyport between the SYN of a client and its ACK: that conn is served, and then the process
// ends.
func TestStopInHandshake(t *testing.T) {
	t.Parallel()
	needTool(t, "nft")
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	p := r.edge.serveWith(t, relayFile)
	r.client.run(t, "nft add table inet lost\nnft add chain inet lost in { type filter hook input priority 0; }\n"+
		"nft add rule inet lost in tcp flags & (syn|ack) == syn|ack drop")
	dialled := make(chan net.Conn, 1)
	go func() { // ends with its dial
		conn, err := r.client.tryDial("tcp", "", dstV4+":4711")
		if err != nil {
			t.Error(err)
		}
		dialled <- conn
	}()
	for end := time.Now().Add(patience); !strings.Contains(r.edge.output(t, "ss", "-Htn", "state", "syn-recv"), dstV4); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no half-open conn")
		}
	}
	r.client.run(t, "nft delete table inet lost") // the next SYN-ACK comes after a second
	p.signal(t, syscall.SIGTERM)
	conn := <-dialled
	if conn == nil {
		t.FailNow()
	}
	conn.SetDeadline(time.Now().Add(patience))
	talk(t, conn, "after the signal")
	conn.Close()
	if status := p.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
