package integration

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestQueue fills an origin and its queue: those who wait are served in their order, through an upgrade
// and a reload too, and those beyond, or who wait for too long, are refused. All of it shows in status,
// the metrics and the access log.
func TestQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	log := filepath.Join(t.TempDir(), "access.log")
	file := func(most int, timeout string) string {
		return fmt.Sprintf("http = \"127.0.0.1:9765\"\n[log]\naccess = %q\n[route.few]\nprotocol = \"tcp\"\nprefixes = [%q]\norigins = [{ address = \"10.0.0.5:4711\", max_conns = %d }]\nqueue = 3\nqueue_timeout = %q\n",
			log, servedV4, most, timeout)
	}
	p := r.edge.serveWith(t, file(1, "1h"))
	f := newFamily(t, p)
	waiting := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprint(n, " conns wait"), func() bool {
			got := p.status(t).route(t, "few").QueueWaiting
			return got != nil && *got == n
		})
	}
	held := r.client.dial(t, "tcp", dstV4+":80")
	talk(t, held, "hello")
	var queue []net.Conn
	for n := range 3 {
		conn := r.client.dial(t, "tcp", dstV4+":80")
		if _, err := io.WriteString(conn, "hello"); err != nil {
			t.Fatal(err)
		}
		queue = append(queue, conn)
		waiting(n + 1)
	}
	refused := func() {
		t.Helper()
		conn, err := r.client.tryDial("tcp", "", dstV4+":80") // RST may come before connect has returned
		if err == nil {
			defer conn.Close()
			_, err = io.ReadAll(conn)
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("one beyond: %v", err)
		}
	}
	refused()
	if _, text := r.edge.fetch(t, http.MethodGet, "/metrics"); !strings.Contains(text, "anyport_queue_waiting{route=\"few\"} 3\n") ||
		!strings.Contains(text, `anyport_connections_total{protocol="tcp",route="few",verdict="queue_full"} 1`) {
		t.Errorf("the metrics have no queue:\n%s", text)
	}
	if got := anyport(t, "status", "--socket", p.socket); !strings.Contains(got.stdout, "few (3 waiting)") {
		t.Errorf("the status has no queue:\n%s", got.stdout)
	}

	if got := p.ask(t, "explain tcp "+dstV4+":80"); !strings.Contains(got.stdout, "\norigin: 10.0.0.5:4711 full\n") || !strings.Contains(got.stdout, "with 3 of queue = 3 that wait already") {
		t.Errorf("explain knows no queue:\n%s", got.stdout)
	}
	if got := p.ask(t, "flows"); strings.Count(got.stdout, "  few       waiting ") != 3 {
		t.Errorf("of these 3 do not wait:\n%s", got.stdout)
	}

	f.upgrade(t)
	waiting(3)
	talk(t, held, "still here")
	held.Close()
	hearBackHello := func(conn net.Conn) {
		t.Helper()
		conn.SetDeadline(time.Now().Add(patience))
		got := make([]byte, len("hello"))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
			t.Fatalf("one that has waited hears %q, %v", got, err)
		}
	}
	hearBackHello(queue[0])
	waiting(2)
	p.write(t, file(2, "200ms"))
	f.reload(t)
	hearBackHello(queue[1])
	if _, err := io.ReadAll(queue[2]); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("one that waits for too long: %v", err)
	}
	waiting(0)
	if got := p.status(t).route(t, "few"); got.Ended["tcp"]["queue_timeout"] != 1 || got.Ended["tcp"]["queue_full"] != 1 || got.Limited != 2 {
		t.Errorf("%d limited: %v", got.Limited, got.Ended)
	}
	for _, verdict := range []string{"queue_full", "queue_timeout"} {
		eventually(t, "the access log has "+verdict, func() bool {
			text, err := os.ReadFile(log)
			return err == nil && strings.Contains(string(text), "verdict="+verdict)
		})
	}
}
