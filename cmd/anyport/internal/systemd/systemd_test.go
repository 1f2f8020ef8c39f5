package systemd

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// manager listens where the notifier of the test sends.
func manager(t *testing.T) (*net.UnixConn, Notifier) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn, FromEnvironment()
}

// receive returns the next message and its file descriptors.
func receive(t *testing.T, conn *net.UnixConn) (string, []int) {
	t.Helper()
	text, rights := make([]byte, 4096), make([]byte, 4096)
	n, controls, _, _, err := conn.ReadMsgUnix(text, rights)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(rights[:controls])
	if err != nil {
		t.Fatal(err)
	}
	var fds []int
	for _, m := range messages {
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, got...)
	}
	return string(text[:n]), fds
}

func TestMessages(t *testing.T) {
	conn, n := manager(t)
	if !n.Listens() {
		t.Error("there is a manager, and the notifier says that there is none")
	}
	for _, test := range []struct {
		send func() error
		want string
	}{
		{func() error { return n.Ready("2 routes") }, `READY=1\nSTATUS=2 routes`},
		{n.Reloading, `RELOADING=1\nMONOTONIC_USEC=[0-9]+\nSTATUS=reloading`},
		{func() error { return n.Stopping("3 conns", 2*time.Second) }, `STOPPING=1\nSTATUS=3 conns\nEXTEND_TIMEOUT_USEC=2000000`},
		{n.Alive, `WATCHDOG=1`},
		{func() error { return n.MainPID(7) }, `MAINPID=7`},
		{func() error { return n.Forget("tcp") }, `FDSTOREREMOVE=1\nFDNAME=tcp`},
	} {
		if err := test.send(); err != nil {
			t.Fatal(err)
		}
		if got, _ := receive(t, conn); !regexp.MustCompile("^" + test.want + "$").MatchString(got) {
			t.Errorf("sent %q, want %q", got, test.want)
		}
	}
}

func TestStore(t *testing.T) {
	conn, n := manager(t)
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := n.Store("tcp", int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	text, fds := receive(t, conn)
	if text != "FDSTORE=1\nFDNAME=tcp\nFDPOLL=0" || len(fds) != 1 {
		t.Fatalf("sent %q with %d files", text, len(fds))
	}
	kept := os.NewFile(uintptr(fds[0]), "kept")
	defer kept.Close()
	sent, _ := file.Stat()
	if got, err := kept.Stat(); err != nil || !os.SameFile(sent, got) {
		t.Errorf("another file was sent: %v", err)
	}
}

// TestStuckManager has one that does not read what it is sent.
func TestStuckManager(t *testing.T) {
	_, n := manager(t)
	for range 10_000 { // far beyond net.unix.max_dgram_qlen
		if n.Alive() != nil {
			return
		}
	}
	t.Error("a manager that takes nothing is an error")
}

func TestNoManager(t *testing.T) {
	var n Notifier
	if n.Listens() || n.Ready("") != nil || n.Reloading() != nil {
		t.Error("without a manager there is nobody to tell, which is no error")
	}
	gone := Notifier{socket: filepath.Join(t.TempDir(), "gone")}
	if gone.Ready("") == nil {
		t.Error("a manager that does not listen is an error")
	}
}

func TestStored(t *testing.T) {
	for _, test := range []struct {
		count, names string
		want         map[string]int
		others       []int
	}{
		{"2", "tcp/0:udp/0", map[string]int{"tcp/0": 3, "udp/0": 4}, nil},
		{"3", "tcp/0:udp/0:udp/0", map[string]int{"tcp/0": 3, "udp/0": 5}, []int{4}},
		{"2", "tcp/0:udp/0:udp/1", map[string]int{"tcp/0": 3, "udp/0": 4}, nil},
		{"2", "tcp/0", map[string]int{"tcp/0": 3}, []int{4}},
		{"2", ":udp/0", map[string]int{"udp/0": 4}, []int{3}},
		{"1", "", map[string]int{}, []int{3}},
		{"0", "tcp/0", nil, nil},
		{"-1", "tcp/0", nil, nil},
		{"many", "tcp/0", nil, nil},
		{"", "", nil, nil},
	} {
		got, others := stored(test.count, test.names)
		if diff := cmp.Diff(test.want, got); diff != "" || !slices.Equal(others, test.others) {
			t.Errorf("%q %q: others %v; -want +got:\n%s", test.count, test.names, others, diff)
		}
	}
}

// TestStoredIsOurs shows that what is meant for another process is left alone.
func TestStoredIsOurs(t *testing.T) {
	for _, key := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		t.Setenv(key, "") // put back when the test ends
	}
	os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()+1))
	os.Setenv("LISTEN_FDS", "1")
	os.Setenv("LISTEN_FDNAMES", "tcp")
	if got := Stored(); got != nil {
		t.Errorf("took %v", got)
	}
	if _, set := os.LookupEnv("LISTEN_FDS"); set {
		t.Error("LISTEN_FDS is still set")
	}
}
