package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestUpgradeMovesConns upgrades with many conns open, some of them busy both ways:
// each process ends soon after it has handed over, and every conn continues where it
// was, to the byte.
func TestUpgradeMovesConns(t *testing.T) {
	t.Parallel()
	idle, upgrades := soak(400, 8500), soak(3, 20) // two files a conn here, and two in anyport, of 20,000
	const busy = 20
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", func(conn net.Conn) { // echo would splice, by two files more
		replyAll(conn, func(piece []byte) []byte { return piece })
	})
	r.origin.serve(t, "10.0.0.5:4712", closeHalf)
	p := r.edge.serveWith(t, "[defaults]\nhalf_close_timeout = \"1h\"\n"+relayFile)
	f := newFamily(t, p)

	began := time.Now()
	conns := r.client.dialMany(t, dstV4+":4711", idle)
	half := r.client.dialMany(t, dstV4+":4712", 10)
	all(t, half, func(conn net.Conn) error { // the origin has sent FIN, and listens on
		_, err := io.Copy(io.Discard, conn)
		return err
	})
	streams := newStreams(t, r.client.dialMany(t, dstV4+":4711", busy))
	for n := range upgrades {
		before := streams.total()
		old := f.pids[len(f.pids)-1]
		told := time.Now()
		f.upgrade(t)
		upgraded := time.Now()
		f.gone(t, old)
		t.Logf("upgrade %d took %v, and the old process %v more to end", n+1,
			upgraded.Sub(told).Round(time.Millisecond), time.Since(upgraded).Round(time.Millisecond))
		eventually(t, "all conns count", func() bool { // the loops take them one batch after the other
			return p.status(t).route(t, "v4").ConnsActive == idle+busy+len(half)
		})
		all(t, conns, func(conn net.Conn) error { return echoed(conn, "still here") })
		eventually(t, "the streams go on", func() bool { return streams.total() > before+busy<<16 || t.Failed() })
	}
	p.aged(t, idle+busy+len(half), time.Since(began))
	t.Logf("%d upgrades, %d conns, %d MB in streams", upgrades, idle+busy+len(half), streams.end(t)>>20)
	all(t, half, func(conn net.Conn) error { return conn.(*net.TCPConn).CloseWrite() })
	for _, conn := range append(conns, half...) {
		conn.Close()
	}
	eventually(t, "no conn counts any more", func() bool { return p.status(t).route(t, "v4").ConnsActive == 0 })
	if origin := p.status(t).route(t, "v4").Origins[0]; origin.ConnsActive != 0 {
		t.Errorf("%d conns count against the origin", origin.ConnsActive)
	}
}

// closeHalf sends FIN and reads up to the peer's FIN.
func closeHalf(conn net.Conn) {
	conn.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, conn)
}

// dialMany opens n conns that end with the test.
func (h *host) dialMany(t *testing.T, dst string, n int) []net.Conn {
	t.Helper()
	conns := make([]net.Conn, 0, n)
	h.do(func() {
		for range n {
			conn, err := dialHere("tcp", "", dst)
			if err != nil {
				t.Errorf("conn %d: %v", len(conns)+1, err)
				return
			}
			conns = append(conns, conn)
		}
	})
	t.Cleanup(func() {
		for _, conn := range conns {
			conn.Close()
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return conns
}

// all does something with each conn, a hundred at a time.
func all(t *testing.T, conns []net.Conn, do func(net.Conn) error) {
	t.Helper()
	var hands sync.WaitGroup
	for hand := range 100 {
		hands.Go(func() { // ends after its share
			for n := hand; n < len(conns); n += 100 {
				conns[n].SetDeadline(time.Now().Add(patience))
				if err := do(conns[n]); err != nil {
					t.Errorf("conn %d: %v", n+1, err)
				}
			}
		})
	}
	hands.Wait()
}

// echoed sends data and reads them back.
func echoed(conn net.Conn, text string) error {
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	answer := make([]byte, len(text))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != text {
		return errors.New("heard something else than was said")
	}
	return nil
}

// aged checks that anyport lists the given number of conns that are at least almost as old as age.
func (p *proxy) aged(t *testing.T, conns int, age time.Duration) {
	t.Helper()
	var listed struct {
		Flows []struct {
			Age float64 `json:"age_seconds"`
		}
	}
	got := anyport(t, "flows", "--json", "--socket", p.socket)
	if err := json.NewDecoder(strings.NewReader(got.stdout)).Decode(&listed); err != nil {
		t.Fatalf("flows: %v: %+v", err, got.stderr)
	}
	oldest := 0.0
	for _, f := range listed.Flows {
		oldest = max(oldest, f.Age)
	}
	if len(listed.Flows) != conns || oldest < age.Seconds()/2 {
		t.Errorf("%d conns are listed, the oldest %.1f s old, want %d, the oldest of %v", len(listed.Flows), oldest, conns, age)
	}
}

// streams are conns to an echo that random bytes go through without end.
type streams struct {
	ctx  context.Context
	stop context.CancelFunc
	ways sync.WaitGroup
	mu   sync.Mutex
	sent int64 // and heard again, each byte as it was sent
}

func newStreams(t *testing.T, conns []net.Conn) *streams {
	s := &streams{}
	s.ctx, s.stop = context.WithCancel(t.Context())
	t.Cleanup(func() { s.end(t) })
	for n, conn := range conns {
		conn.SetDeadline(time.Time{})
		seed := [32]byte{byte(n)}
		s.ways.Go(func() { s.say(t, conn.(*net.TCPConn), rand.NewChaCha8(seed)) })
		s.ways.Go(func() { s.hear(t, conn, rand.NewChaCha8(seed)) })
	}
	return s
}

// say sends until the stream is ended, and then sends FIN.
func (s *streams) say(t *testing.T, conn *net.TCPConn, random io.Reader) {
	piece := make([]byte, 32<<10)
	for s.ctx.Err() == nil {
		random.Read(piece)
		if _, err := conn.Write(piece); err != nil {
			t.Errorf("a stream: %v", err)
			return
		}
		time.Sleep(time.Millisecond) // there is more to do than this
	}
	if err := conn.CloseWrite(); err != nil {
		t.Errorf("a stream: %v", err)
	}
}

// hear compares what arrives, up to the FIN.
func (s *streams) hear(t *testing.T, conn net.Conn, random io.Reader) {
	got, want := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		_, err := io.ReadFull(conn, got)
		if err == io.EOF && s.ctx.Err() != nil {
			return
		}
		random.Read(want)
		if err != nil || string(got) != string(want) {
			t.Errorf("a stream: other bytes came back than were sent, or none: %v", err)
			return
		}
		s.mu.Lock()
		s.sent += int64(len(got))
		s.mu.Unlock()
	}
}

func (s *streams) total() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// end waits for the data under way, and returns the amount of all data.
func (s *streams) end(t *testing.T) int64 {
	s.stop()
	s.ways.Wait()
	return s.total()
}

// TestSignalAfterUpgrade has conns that cannot move, because the new process may open
// few files. The first signal that the old process gets after the upgrade, as when the
// whole service is stopped, does not count as its second.
func TestSignalAfterUpgrade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:80", echo)
	p := r.edge.serveWith(t, relayFile)
	var conns []net.Conn
	for range 150 {
		conn := r.client.dial(t, "tcp", dstV4+":80")
		talk(t, conn, "before")
		conns = append(conns, conn)
	}
	binary := filepath.Join(t.TempDir(), "few-files")
	script := fmt.Sprintf("#!/bin/sh\nulimit -n 240\nexec setpriv --bounding-set -sys_resource %s \"$@\"\n", program)
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	f := newFamily(t, p)
	if got := anyport(t, "upgrade", "--binary", binary, "--socket", p.socket); got.status != 0 || !strings.Contains(got.stdout, "conns did not") {
		t.Fatalf("upgrade: %+v", got)
	}
	f.pids = append(f.pids, p.status(t).PID)

	p.signal(t, syscall.SIGTERM)
	p.expect(t, "told to stop")
	last := conns[len(conns)-1]
	talk(t, last, "after a signal")
	p.signal(t, syscall.SIGTERM)
	f.gone(t, f.pids[0])
}
