package accesslog

import (
	"bufio"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"anyport/config"
)

// wait is how long a test waits for what must come.
const wait = 30 * time.Second

// logTo opens a log for a destination.
func logTo(t *testing.T, access string) (*Log, *lastFew) {
	t.Helper()
	var said lastFew
	a, err := Open(config.Log{Access: access, Format: "text"}, nil, nil, slog.New(slog.NewTextHandler(&said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return a, &said
}

// receiver is a log daemon on a unix socket.
func receiver(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// message receives one datagram.
func message(t *testing.T, from net.PacketConn) string {
	t.Helper()
	b := make([]byte, 64<<10)
	_ = from.SetReadDeadline(time.Now().Add(wait))
	n, _, err := from.ReadFrom(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// TestDatagrams: a log daemon gets a datagram for each line, also after it was restarted with a new
// socket; while there is none, lines are lost and counted, and the log says so.
func TestDatagrams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	first := receiver(t, path)
	a, said := logTo(t, "syslog:unix://"+path)
	defer closeLog(t, a)
	ask := func(from net.PacketConn) {
		t.Helper()
		a.Record(record)
		if got := message(t, from); !strings.HasPrefix(got, "<30>1 2026-05-04T03:02:02.500Z ") || !strings.HasSuffix(got, " access - "+strings.TrimSpace(textLine)) {
			t.Errorf("%q", got)
		}
	}
	ask(first)
	first.Close()
	os.Remove(path)
	if err := a.Reopen(); err == nil || !strings.Contains(err.Error(), "start the log daemon") {
		t.Errorf("to open it again without a daemon: %v", err)
	}
	a.Record(record)
	a.Record(record)
	waitFor(t, func() bool { return a.Lost() == 2 && strings.Contains(said.String(), "lost_lines=") })
	second := receiver(t, path)
	ask(second)
	second.Close()
	os.Remove(path)
	ask(receiver(t, path)) // what the old connection does not take goes over a new one
	if a.Lost() != 2 {
		t.Errorf("%d lines are lost", a.Lost())
	}
}

// TestStuckDatagrams: a log daemon that reads nothing delays no Record; each line is received, or counted.
func TestStuckDatagrams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	daemon := receiver(t, path)
	a, _ := logTo(t, "syslog:unix://"+path)
	const lines = 3 * queueMost
	begun := time.Now()
	for range lines {
		a.Record(record)
	}
	if took := time.Since(begun); took > wait {
		t.Errorf("it took %v", took)
	}
	waitFor(t, func() bool { return a.Lost() > 0 })
	received := make(chan int)
	go func() { // ended by the close of the socket
		n, b := 0, make([]byte, 64<<10)
		for {
			if _, err := daemon.Read(b); err != nil {
				received <- n
				return
			}
			n++
		}
	}()
	closeLog(t, a)
	_ = daemon.SetReadDeadline(time.Now().Add(time.Second)) // what was sent is in the queue already
	if n := <-received; uint64(n)+a.Lost() != lines {
		t.Errorf("%d received, %d lost, of %d", n, a.Lost(), lines)
	}
}

// TestStream: a log server over TCP may be down when anyport starts, and be restarted.
func TestStream(t *testing.T) {
	down, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := down.Addr().String()
	down.Close()
	a, said := logTo(t, "syslog:tcp://"+address)
	defer closeLog(t, a)
	a.Record(record)
	waitFor(t, func() bool { return a.Lost() == 1 && strings.Contains(said.String(), "connection refused") })
	for range 2 {
		server, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		a.Record(record)
		conn, err := server.Accept()
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(conn)
		for range 2 {
			if got, err := lines.ReadString('\n'); err != nil || !strings.HasSuffix(got, " access - "+textLine) {
				t.Errorf("%q, %v", got, err)
			}
			a.Record(record)
		}
		waitFor(t, func() bool { return queued(a) == 0 })
		if _, err := lines.ReadString('\n'); err != nil {
			t.Error(err)
		}
		conn.Close() // the writer notices before it writes the next line
		server.Close()
	}
	if a.Lost() != 1 {
		t.Errorf("%d lines are lost", a.Lost())
	}
}

// TestNoDaemon: without a log daemon the log cannot be opened, and the error says what to do.
func TestNoDaemon(t *testing.T) {
	_, err := Open(config.Log{Access: "syslog:unix://" + filepath.Join(t.TempDir(), "log")}, nil, nil, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "log.access: ") || !strings.Contains(err.Error(), "start the log daemon") {
		t.Errorf("%v", err)
	}
}
