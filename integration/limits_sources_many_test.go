package integration

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestManyConnsFromTwoSources holds more conns to one address and port of an origin than one source
// address has ports (28,232, if the sysctl is as the kernel sets it): all of them are open at the same
// time, none has had an error, and the ports in use are exported. Each conn has carried bytes both ways
// and, once all are open, carries a line that only it gets.
//
// It needs 2 files a conn here and 2 in anyport, and about 20 KiB of the kernel's memory a conn. Nobody
// sends keepalives: with those of Go, each 15 seconds, they would be most of the packets.
func TestManyConnsFromTwoSources(t *testing.T) {
	n := manyConns(t)
	r := newRig(t)
	r.addSource(t)
	origin := r.origin.hold(t, "10.0.0.5:4711")
	p := r.edge.serveWith(t, "http = \"127.0.0.1:9765\"\n"+twoSourcesFile+"connect_timeout = \"20s\"\nkeepalive = \"0s\"\n") // an emulator is slow

	began := time.Now()
	conns := r.client.openMany(t, n)
	if t.Failed() {
		t.Logf("conns have ended with %v", p.status(t).route(t, "web").Ended)
		for _, h := range []*host{r.client, r.edge, r.origin} { // RSTs that no process has caused
			t.Logf("%s has counted\n%s", h.Name, h.output(t, "nstat", "-as"))
		}
		t.FailNow()
	}
	t.Logf("%d conns are open after %v", n, time.Since(began).Round(time.Millisecond))
	s := p.status(t).route(t, "web")
	if s.ConnsActive != n || s.ConnsTotal != uint64(n) || len(s.Ended["tcp"]) != 0 {
		t.Errorf("%d of %d conns are active, %d have ended: %v", s.ConnsActive, s.ConnsTotal, len(s.Ended["tcp"]), s.Ended)
	}
	exported := r.edge.portsUsed(t)
	t.Logf("ports in use: %v", exported)
	if exported["10.0.0.1"]+exported["10.0.0.2"] != n || min(exported["10.0.0.1"], exported["10.0.0.2"]) < n*4/10 {
		t.Errorf("ports in use: %v, want %d, about half of them of each source", exported, n)
	}

	origin.number(t)
	var heard sync.Map // line → true
	all(t, conns, func(conn net.Conn) error {
		conn.SetDeadline(time.Now().Add(10 * patience))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if _, twice := heard.LoadOrStore(line, true); err == nil && twice {
			err = fmt.Errorf("%q came twice", line)
		}
		return err
	})
}

// manyConns is how many conns the test opens: ANYPORT_MANY_CONNS, with which it must run, or else 40,000
// in `make soak`, if this process may have the files.
func manyConns(t *testing.T) int {
	t.Helper()
	n := 40_000
	asked := os.Getenv("ANYPORT_MANY_CONNS")
	switch {
	case asked != "":
		var err error
		if n, err = strconv.Atoi(asked); err != nil {
			t.Fatalf("ANYPORT_MANY_CONNS: %v", err)
		}
	case os.Getenv("ANYPORT_SOAK") != "1":
		t.Skip("make kernels, or ANYPORT_MANY_CONNS=40000")
	}
	files := uint64(2*n + 500)
	raiseFiles(t, files)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	switch {
	case limit.Cur >= files:
	case asked != "":
		t.Fatalf("a process may have %d open files, and %d conns need %d", limit.Max, n, files)
	default:
		t.Skipf("a process may have %d open files, and %d conns need %d: make kernels runs it in a guest that may", limit.Max, n, files)
	}
	return n
}

// holder is an origin that answers a line of each conn and keeps the conn.
type holder struct {
	mu    sync.Mutex
	conns []net.Conn
}

// hold starts a holder, whose conns end with the test.
func (h *host) hold(t *testing.T, address string) *holder {
	t.Helper()
	held := &holder{}
	listener := h.listen(t, address)
	go func() { // ends with the listener, when the test ends
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.(*net.TCPConn).SetKeepAlive(false)
			held.mu.Lock()
			held.conns = append(held.conns, conn)
			held.mu.Unlock()
			go func() { // ends when it has answered, or the conn has ended
				line := make([]byte, len(greeting))
				if _, err := io.ReadFull(conn, line); err == nil {
					conn.Write(line)
				}
			}()
		}
	}()
	t.Cleanup(func() {
		held.mu.Lock()
		defer held.mu.Unlock()
		for _, conn := range held.conns {
			conn.Close()
		}
	})
	return held
}

// greeting is what a client sends first.
const greeting = "hello\n"

// number sends each conn a line with its number.
func (o *holder) number(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for n, conn := range o.conns {
		if _, err := fmt.Fprintln(conn, n); err != nil {
			t.Errorf("the origin's conn %d: %v", n+1, err)
		}
	}
}

// openMany opens n conns to port 4711 of eight addresses: a client has 28,232 ports for each of them. It
// returns them when all of them have been answered.
func (h *host) openMany(t *testing.T, n int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, n)
	t.Cleanup(func() {
		for _, conn := range conns {
			if conn != nil {
				conn.(*net.TCPConn).SetLinger(0) // RST: no TIME_WAIT for each of them
				conn.Close()
			}
		}
	})
	const clients = 8
	dialer := net.Dialer{Timeout: patience, KeepAlive: -1}
	var failed atomic.Int64
	var running sync.WaitGroup
	for client := range clients {
		running.Go(func() { // ends after its share
			h.do(func() {
				for i := client; i < n && failed.Load() < 10; i += clients {
					conn, err := dialer.Dial("tcp", fmt.Sprintf("192.0.2.%d:4711", 1+client))
					if err == nil {
						conns[i] = conn
						conn.SetDeadline(time.Now().Add(10 * patience))
						err = echoed(conn, greeting)
					}
					if err != nil {
						failed.Add(1)
						t.Errorf("conn %d: %v", i+1, err)
					}
					if i%5000 == 0 {
						t.Logf("conn %d", i+1)
					}
				}
			})
		})
	}
	running.Wait()
	return conns
}

// portsUsed reads anyport_source_ports_used of the host's anyport, by source.
func (h *host) portsUsed(t *testing.T) map[string]int {
	t.Helper()
	_, text := h.fetch(t, http.MethodGet, "/metrics")
	used := map[string]int{}
	for line := range strings.Lines(text) {
		labels, ours := strings.CutPrefix(line, "anyport_source_ports_used{")
		if !ours {
			continue
		}
		_, source, _ := strings.Cut(labels, `source="`)
		source, value, _ := strings.Cut(source, `"} `)
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		used[source] = int(n)
	}
	return used
}
