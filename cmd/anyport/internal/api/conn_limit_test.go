package api

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// TestChooseVictim: at the bound it is whoever has most that loses a conn, an idle one first.
func TestChooseVictim(t *testing.T) {
	now := time.Now()
	conns := map[string]net.Conn{}
	for _, name := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
		conn, other := net.Pipe()
		defer conn.Close()
		defer other.Close()
		conns[name] = conn
	}
	for _, test := range []struct {
		name    string
		limited map[string]limitedConn
		want    string
	}{
		{"one", map[string]limitedConn{"a1": {"a", false, now}}, "a1"},
		{"the oldest", map[string]limitedConn{"a1": {"a", true, now}, "a2": {"a", true, now.Add(-2)}, "a3": {"a", true, now.Add(-1)}}, "a2"},
		{"an idle one", map[string]limitedConn{"a1": {"a", false, now.Add(-9)}, "a2": {"a", true, now}}, "a2"},
		{"of whoever has most", map[string]limitedConn{"a1": {"a", false, now}, "a2": {"a", false, now.Add(-1)}, "c1": {"c", true, now.Add(-9)}}, "a2"},
		{"of equals an idle one", map[string]limitedConn{"a1": {"a", false, now}, "a2": {"a", false, now}, "b1": {"b", false, now}, "b2": {"b", true, now}}, "b2"},
	} {
		limited := map[net.Conn]*limitedConn{}
		for name, g := range test.limited {
			limited[conns[name]] = &g
		}
		if got := chooseVictim(limited); got != conns[test.want] {
			t.Errorf("%s: another conn gives way than %s", test.name, test.want)
		}
	}
}

// TestConnLimit: a swarm of conns that ask nothing, or take no answer, keeps nobody else out and
// holds no more files than the bound.
func TestConnLimit(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	long := func(w http.ResponseWriter, r *http.Request) {
		for r.URL.Path == "/long" {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
		io.WriteString(w, "well")
	}
	defer serve(usualTimeouts, listener, http.HandlerFunc(long), nil, make(chan error, 1))()
	before := openFiles(t)
	swarm := 3 * mostConns
	for i := range swarm {
		conn := dialFrom(t, "127.0.0.2", listener.Addr().String())
		defer conn.Close()
		if i%2 == 0 {
			fmt.Fprint(conn, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
		}
	}
	conn := dialFrom(t, "127.0.0.3", listener.Addr().String())
	defer conn.Close()
	for range 3 { // it stays, while the swarm goes on
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("beside a swarm: %v, %v", answer, err)
		}
		io.Copy(io.Discard, answer.Body)
		more := dialFrom(t, "127.0.0.2", listener.Addr().String())
		defer more.Close()
	}
	held := func() int { return openFiles(t) - before - swarm - 1 - 3 }
	for deadline := time.Now().Add(time.Minute); held() > mostConns; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d conns are held, want at most %d", held(), mostConns)
		}
	}
}

func dialFrom(t *testing.T, source, address string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestConnLimitOfUsers: on the admin socket root's conns are not bounded, and so never closed
// for others.
func TestConnLimitOfUsers(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	g := limitConns(listener, 2)
	admit := func(uid int) net.Conn {
		conn := &fileConn{peer: peer{uid: uid}}
		client, bounded := limitedClient(conn)
		if bounded == (uid == 0) {
			t.Errorf("user %d is bounded: %t", uid, bounded)
		}
		if !bounded {
			return nil
		}
		return g.admit(conn, client, time.Now())
	}
	for range 5 {
		if out := admit(0); out != nil {
			t.Error("a conn is closed for root's")
		}
	}
	for range 2 {
		if out := admit(7); out != nil {
			t.Error("a conn is closed below the bound")
		}
	}
	if out := admit(7); out == nil {
		t.Error("no conn is closed at the bound")
	}
	if len(g.conns) != 2 {
		t.Errorf("%d conns are counted", len(g.conns))
	}
}
