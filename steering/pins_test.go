package steering

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/announce"
	"anyport/steering/host"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// pinned is the config of all tests with pins.
func pinned(dir string) *config.Config {
	cfg := tabletest.Managed("192.0.2.0/24")
	cfg.Steering.Pin = dir
	return cfg
}

// TestKilled: what a killed process served is refused, on the address where a listener
// of the host's own stands too; the next process continues with it.
func TestKilled(t *testing.T) {
	netnstest.InNamespace(t)
	dir := filepath.Join(bpffs(t), "anyport")
	host := hostListeners(t, 22)
	dst := netip.MustParseAddrPort("192.0.2.1:22")
	kill := serveInChild(t, dir)
	checkModes(t, dir)
	kill()

	if got := knockTCP(t, new(Steering), dst); got != table.Refuse {
		t.Errorf("tcp, after the kill: %s", got)
	}
	if got := knockUDP(t, new(Steering), host, dst); got != table.Refuse {
		t.Errorf("udp, after the kill: %s", got)
	}
	s := openHere(t, pinned(dir))
	if got := knockTCP(t, s, dst); got != table.Steer {
		t.Errorf("tcp, after the restart: %s", got)
	}
	checkCounted(t, s, "all", table.Steer, 3)
	status, err := s.Status()
	if err != nil || !status.Attached || len(status.Foreign) > 0 || status.Generation != 2 {
		t.Errorf("%+v, %v", status, err)
	}
}

// serveInChild starts a process in the namespaces of this thread that serves pinned.
func serveInChild(t *testing.T, dir string) (kill func()) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestServePinned$")
	child.Env = append(os.Environ(), "ANYPORT_TEST_PIN="+dir)
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		child.Process.Kill()
		child.Wait()
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "serving\n" {
		rest, _ := io.ReadAll(out)
		t.Fatalf("the child says %q, %v: %s", line, err, rest)
	}
	return kill
}

// TestServePinned is what serveInChild runs, until it is killed.
func TestServePinned(t *testing.T) {
	dir := os.Getenv("ANYPORT_TEST_PIN")
	if dir == "" {
		t.Skip("runs as the child of others")
	}
	openHere(t, pinned(dir))
	os.Stdout.WriteString("serving\n")
	select {}
}

// TestStopPinned: a steering that is pinned outlives an orderly stop, and refuses, until
// it is unloaded; then nothing of it is left.
func TestStopPinned(t *testing.T) {
	netnstest.InNamespace(t)
	dir := filepath.Join(bpffs(t), "anyport")
	local := []string{"127.0.0.0/8", "127.0.0.1/32", "::1/128"}
	hostListeners(t, 80)
	s := openHere(t, pinned(dir))
	_, err := Unload(pinned(dir), discard)
	checkError(t, "Unload beside a process", err, "still running")
	if got := knockTCP(t, s, netip.MustParseAddrPort("192.0.2.1:80")); got != table.Steer {
		t.Errorf("before the stop: %s", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	checkLocal(t, append(local, "192.0.2.0/24"))
	if got := knockTCP(t, s, netip.MustParseAddrPort("192.0.2.1:80")); got != table.Refuse {
		t.Errorf("after the stop: %s", got)
	}

	removed, err := Unload(pinned(dir), discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"route local 192.0.2.0/24 dev lo", filepath.Join(dir, "link"), filepath.Join(dir, "steer"), filepath.Join(dir, "sockets"), dir} {
		if !slices.Contains(removed, want) {
			t.Errorf("%s is not among the removed: %v", want, removed)
		}
	}
	checkLocal(t, local)
	checkGone(t, dir)
	if removed, err := Unload(pinned(dir), discard); err != nil || len(removed) > 0 {
		t.Errorf("the second time: %v, %v", removed, err)
	}
}

// TestUnloadRoutes: without pins, what a killed process left is its routes.
func TestUnloadRoutes(t *testing.T) {
	netnstest.InNamespace(t)
	addLocal(t, "192.0.2.0/24", host.RouteProtocol)
	addLocal(t, "198.51.100.0/24", unix.RTPROT_STATIC)
	addAnnounced(t, "192.0.2.0/24")
	removed, err := Unload(&config.Config{}, discard)
	if diff := cmp.Diff([]string{"route 192.0.2.0/24 table 179 metric 100", "route local 192.0.2.0/24 dev lo"}, removed); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	openHere(t, tabletest.Managed("192.0.2.0/24"))
	addAnnounced(t, "192.0.2.0/24")
	if removed, err := Unload(&config.Config{}, discard); err != nil || len(removed) > 0 {
		t.Errorf("beside a process: %v, %v", removed, err)
	}
}

// addAnnounced adds a route as [announce] does, in table 179.
func addAnnounced(t *testing.T, prefix string) {
	t.Helper()
	_, dst, err := net.ParseCIDR(prefix)
	if err != nil {
		t.Fatal(err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.RouteAdd(&netlink.Route{Dst: dst, LinkIndex: lo.Attrs().Index, Table: 179, Priority: 100, Protocol: announce.Protocol, Scope: unix.RT_SCOPE_LINK}); err != nil {
		t.Fatal(err)
	}
}

// bpffs mounts one, that only this thread sees.
func bpffs(t *testing.T) string {
	t.Helper()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// leavePinned leaves what a process leaves that has stopped.
func leavePinned(t *testing.T, dir string) {
	t.Helper()
	s, err := Open(withListen(pinned(dir)), tabletest.Compile(t, pinned(dir).Routes...), discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// checkModes: only the owner may open the pins.
func checkModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if e.IsDir() {
			want = fs.ModeDir | 0o700
		}
		info, err := e.Info()
		if err == nil && info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkGone: neither directory nor program is there.
func checkGone(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there (%v)", dir, err)
	}
	if programs, err := program.AttachedPrograms(); err != nil || len(programs) > 0 {
		t.Errorf("attached: %v, %v", programs, err)
	}
}

// checkError wants an error with this text in it, or none for "".
func checkError(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want %q", what, err, want)
	}
}
