package daemon

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/systemd"
)

// fakeManager is a service manager that keeps what it is sent.
type fakeManager struct {
	mu       sync.Mutex
	messages []string
}

// manage makes one, and the option that has a daemon notify it.
func manage(t *testing.T) (*fakeManager, func(*Options)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	m := &fakeManager{}
	go m.receive(conn) // ended by Close
	t.Setenv("NOTIFY_SOCKET", path)
	return m, func(opt *Options) { opt.Manager = systemd.FromEnvironment() }
}

// receive keeps messages, and closes the descriptors that come with them.
func (m *fakeManager) receive(conn *net.UnixConn) {
	text, rights := make([]byte, 4096), make([]byte, 4096)
	for {
		n, controls, _, _, err := conn.ReadMsgUnix(text, rights)
		if err != nil {
			return
		}
		parts, _ := unix.ParseSocketControlMessage(rights[:controls])
		for _, part := range parts {
			fds, _ := unix.ParseUnixRights(&part)
			for _, fd := range fds {
				unix.Close(fd)
			}
		}
		m.mu.Lock()
		m.messages = append(m.messages, strings.ReplaceAll(string(text[:n]), "\n", " "))
		m.mu.Unlock()
	}
}

// got reports how many messages so far contain a text.
func (m *fakeManager) got(text string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, message := range m.messages {
		if strings.Contains(message, text) {
			n++
		}
	}
	return n
}

// stored are the names of what it keeps.
func (m *fakeManager) stored() (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, message := range m.messages {
		words := strings.Fields(message)
		name := ""
		for _, w := range words {
			if rest, found := strings.CutPrefix(w, "FDNAME="); found {
				name = rest
			}
		}
		switch words[0] {
		case "FDSTORE=1":
			names = append(names, name)
		case "FDSTOREREMOVE=1":
			names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		}
	}
	return names
}

// TestServiceManager: it learns of the start, of each reload and its end, and of the stop with the time
// that this may take; it keeps the sockets, each once; and it hears that the loops turn.
func TestServiceManager(t *testing.T) {
	m, notify := manage(t)
	web := webRoute("web", "192.0.2.0/24", echo(t), "drain_timeout = \"30s\"")
	l := start(t, "", web, notify, func(opt *Options) { opt.Watchdog = 200 * time.Millisecond })
	eventually(t, "it is ready", func() bool { return m.got("READY=1 STATUS=serving 1 routes on 1 prefixes, generation 1") == 1 })
	stored := m.stored()
	if !slices.ContainsFunc(stored, func(name string) bool { return strings.Contains(name, "tcp") }) || len(stored) < 3 {
		t.Errorf("it keeps %q", stored)
	}
	eventually(t, "the watchdog is fed", func() bool { return m.got("WATCHDOG=1") >= 3 })

	l.write(t, web+webRoute("two", "203.0.113.0/24", "127.0.0.1:1", ""))
	if _, err := l.Reload(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reload has ended", func() bool { return m.got("READY=1 STATUS=serving 2 routes on 2 prefixes, generation 2") == 1 })
	l.write(t, "[route")
	if _, err := l.Reload(t.Context(), false, nil); err == nil {
		t.Error("a broken file is in service")
	}
	eventually(t, "the refused reload has ended too", func() bool {
		return m.got("RELOADING=1 MONOTONIC_USEC=") == 2 && m.got("STATUS=serving 2 routes on 2 prefixes, generation 2") == 2
	})
	if now := m.stored(); !slices.Equal(now, stored) {
		t.Errorf("it keeps %q after the reloads, and %q before", now, stored)
	}

	dialThrough(t, "192.0.2.7:1")
	l.signals <- syscall.SIGTERM
	eventually(t, "it stops", func() bool { return m.got("STOPPING=1 STATUS=waiting for 1 conns EXTEND_TIMEOUT_USEC=40000000") == 1 })
}

// TestStoredSocketsUnusable: what the service manager kept of a process that has ended may be of no use.
// Then new sockets serve, and it forgets the old ones.
func TestStoredSocketsUnusable(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		t.Skip("needs root and a network namespace")
	}
	m, notify := manage(t)
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, "", webRoute("web", "192.0.2.0/24", echo(t), ""), notify, func(opt *Options) { opt.Stored = map[string]int{"tcp": null, "rest": -1} })
	dialThrough(t, "192.0.2.7:1")
	if !strings.Contains(l.log.String(), "cannot reuse the stored sockets: queued clients are refused") {
		t.Errorf("the log:\n%s", l.log)
	}
	eventually(t, "the old ones are forgotten", func() bool {
		return m.got("FDSTOREREMOVE=1 FDNAME=tcp") == 1 && m.got("FDSTOREREMOVE=1 FDNAME=rest") == 1
	})
	eventually(t, "the new ones are kept", func() bool { return len(m.stored()) >= 3 })
}

// TestWatchdogOfAReplacedProcess: only the process that is the service feeds the watchdog.
func TestWatchdogOfAReplacedProcess(t *testing.T) {
	m, notify := manage(t)
	d := &daemon{opt: Options{Watchdog: time.Millisecond}}
	notify(&d.opt)
	d.replaced.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	d.reportAlive(ctx)
	if n := m.got("WATCHDOG=1"); n > 0 {
		t.Errorf("it is fed %d times", n)
	}
	d.opt.Watchdog = 0
	d.reportAlive(ctx) // returns with ctx, which has ended
}
