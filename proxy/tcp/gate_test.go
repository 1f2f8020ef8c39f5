package tcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/quota"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
)

// fewFiles makes the test binary a proxy with few fds, to the origin named.
const fewFiles = "ANYPORT_TEST_FEW_FILES"

func TestMain(m *testing.M) {
	if origin := os.Getenv(fewFiles); origin != "" {
		if err := serveWithFewFiles(origin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveWithFewFiles serves on fd 3 until stdin ends.
func serveWithFewFiles(origin string) error {
	const listener, files = 3, 40
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files}); err != nil {
		return err
	}
	r := forward(origin)
	live := route.NewLive(2)
	live.Swap(table{r}, []*config.Route{r})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	records := make(chan route.Record, 1000)
	live.SetRecording(route.Recording{To: func(r route.Record) { records <- r }, Share: 1})
	err := tcp.Serve(ctx, tcp.Options{
		Listeners: []int{listener}, Loops: 2, Routes: live, Log: slog.New(slog.DiscardHandler),
		Files: quota.Divide(8, 2, quota.NewPool(14)),
	})
	close(records)
	for r := range records {
		fmt.Fprintln(out, r.Verdict)
	}
	return err
}

// With fds for some 15 conns and no pipe beside them, 100 clients come at once:
// those that find no room wait in the accept queue, and each is served in the end. Each has
// an address of its own, for after gateParkMost one client's many are refused.
func TestFewFiles(t *testing.T) {
	const clients = 100
	p := startFewFiles(t, origin(t, echo))
	var all sync.WaitGroup
	for i := range clients {
		c := dialFrom(t, &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(i))}, p.addr)
		all.Go(func() { echoes(t, c, byte(i), 64<<10) })
	}
	all.Wait()
	p.stdin.Close()
	lines := bufio.NewScanner(p.stdout)
	for n := range clients {
		if !lines.Scan() {
			t.Fatalf("%d conns were recorded, want %d", n, clients)
		}
		if v := lines.Text(); v != route.Closed.String() {
			t.Errorf("verdict %s, want %v", v, route.Closed)
		}
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
}

// echoes checks that size bytes come back, and closes.
func echoes(t *testing.T, c *net.TCPConn, seed byte, size int64) {
	defer c.Close()
	go func() {
		io.Copy(c, stream(seed, size))
		c.CloseWrite()
	}()
	got, err := sum(c)
	if want, _ := sum(stream(seed, size)); got != want || err != nil {
		t.Errorf("client %d read %s, %v; want %s", seed, got, err, want)
	}
}

type process struct {
	*exec.Cmd
	addr   string
	stdin  io.WriteCloser
	stdout io.ReadCloser
}

func startFewFiles(t *testing.T, origin string) *process {
	t.Helper()
	fd, addr := listen(t, netip.MustParseAddrPort("127.0.0.1:0"))
	p := &process{Cmd: exec.CommandContext(t.Context(), os.Args[0]), addr: addr}
	p.Env = append(os.Environ(), fewFiles+"="+origin)
	p.Stderr = os.Stderr
	inherited, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	listener := os.NewFile(uintptr(inherited), "listener")
	defer listener.Close()
	p.ExtraFiles = []*os.File{listener}
	if p.stdin, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if p.stdout, err = p.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}
