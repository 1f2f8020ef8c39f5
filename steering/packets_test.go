package steering

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/table"
)

// silence is how long a test listens for an answer that must not come.
const silence = 500 * time.Millisecond

// everyAction has an address for each action, in both families and protocols.
func everyAction() *config.Config {
	cfg := &config.Config{Steering: config.Steering{ManageRoutes: true}}
	for name, on := range map[string][]string{
		"forward": {"192.0.2.1", "2001:db8:1::1"},
		"refuse":  {"192.0.2.2", "2001:db8:1::2"},
		"drop":    {"192.0.2.3", "2001:db8:1::3"},
		"pass":    {"192.0.2.4", "2001:db8:1::4"},
		"denied":  {"192.0.2.5", "2001:db8:1::5"},
	} {
		r := tabletest.Route(name, "1-1023", on...)
		r.Protocols = []config.Protocol{config.TCP, config.UDP}
		r.Action = map[string]config.Action{
			"forward": config.Forward, "refuse": config.Refuse, "drop": config.Drop,
			"pass": config.Pass, "denied": config.Forward,
		}[name]
		if name == "denied" {
			r.Deny = tabletest.Prefixes("0.0.0.0/0", "::/0")
			r.Denied = config.Drop
		}
		cfg.Routes = append(cfg.Routes, r)
	}
	return cfg
}

// TestPackets sends real ones: each action as the client sees it, while a listener of
// the host's own stands on all addresses.
func TestPackets(t *testing.T) {
	netnstest.InNamespace(t)
	addAddress(t, "2001:db8:c::1/128") // of this host: the kernel finds no way to send an RST to ::1 where the local route refers to another device than lo
	s := openHere(t, everyAction())
	host := hostListeners(t, 80)
	for _, test := range []struct {
		addr string
		want table.Verdict
	}{
		{"192.0.2.1:80", table.Steer}, {"[2001:db8:1::1]:80", table.Steer},
		{"192.0.2.1:8080", table.Refuse}, {"[2001:db8:1::1]:8080", table.Refuse}, // no route takes it
		{"192.0.2.2:80", table.Refuse}, {"[2001:db8:1::2]:80", table.Refuse},
		{"192.0.2.3:80", table.Drop}, {"[2001:db8:1::3]:80", table.Drop},
		{"192.0.2.4:80", table.Pass}, {"[2001:db8:1::4]:80", table.Pass},
		{"192.0.2.5:80", table.Drop}, {"[2001:db8:1::5]:80", table.Drop},
	} {
		dst := netip.MustParseAddrPort(test.addr)
		if got := knockTCP(t, s, dst); got != test.want {
			t.Errorf("tcp %s: %s, want %s", dst, got, test.want)
		}
		if got := knockUDP(t, s, host, dst); got != test.want {
			t.Errorf("udp %s: %s, want %s", dst, got, test.want)
		}
	}
	checkCounted(t, s, "forward", table.Steer, 4)
	checkCounted(t, s, "refuse", table.Refuse, 4)
	checkCounted(t, s, "pass", table.Pass, 4)
	checkCounted(t, s, "", table.Refuse, 4)
}

func addAddress(t *testing.T, address string) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := netlink.ParseAddr(address)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(lo, parsed); err != nil {
		t.Fatal(err)
	}
}

// TestNothingFallsThrough: neither an empty slot nor any moment of Close shows the
// host's own listeners on a served address.
func TestNothingFallsThrough(t *testing.T) {
	s := open(t, everyAction())
	host := hostListeners(t, 80)
	dst := netip.MustParseAddrPort("192.0.2.1:80")
	for range 2 { // the second time the slots are empty already
		if err := errors.Join(s.Refuse(config.TCP), s.Refuse(config.UDP)); err != nil {
			t.Fatal(err)
		}
	}
	if got := knockTCP(t, s, dst); got != table.Refuse {
		t.Errorf("tcp, empty slot: %s", got)
	}
	if got := knockUDP(t, s, host, dst); got != table.Refuse {
		t.Errorf("udp, empty slot: %s", got)
	}

	if err := s.routes.Close(false); err != nil { // as Close begins
		t.Fatal(err)
	}
	s.routes = nil
	if conn, err := net.DialTimeout("tcp", dst.String(), silence); err == nil {
		conn.Close()
		t.Error("a prefix that is no longer served answers")
	}
}

// TestSockets: one of each, that nobody else inherits, and no holes before a drop. From
// then on they stay: a reload could not open them again.
func TestSockets(t *testing.T) {
	s := open(t, tabletest.Managed("192.0.2.0/24"))
	checkSockets(t, s, 1, 0)
	replace(t, s, everyAction())
	checkSockets(t, s, 1, 1)
	if got := knockTCP(t, s, netip.MustParseAddrPort("192.0.2.3:80")); got != table.Drop {
		t.Errorf("a drop that came with a reload: %s", got)
	}
	replace(t, s, tabletest.Managed("192.0.2.0/24"))
	replace(t, s, everyAction())
	checkSockets(t, s, 1, 1)
	if got := knockTCP(t, s, netip.MustParseAddrPort("192.0.2.3:80")); got != table.Drop {
		t.Errorf("a drop that came once more: %s", got)
	}
}

func checkSockets(t *testing.T, s *Steering, workers, holes int) {
	t.Helper()
	if len(s.TCP()) != workers || len(s.UDP()) != workers {
		t.Fatalf("%d TCP and %d UDP sockets, want %d", len(s.TCP()), len(s.UDP()), workers)
	}
	for _, slot := range []bpf.SteerSlot{bpf.SteerSlotTCP_HOLE, bpf.SteerSlotUDP_HOLE} {
		if len(s.sockets[slot]) != 1 || bound(s.sockets[slot][0]) != (holes == 1) {
			t.Errorf("%s: sockets %v, want %d bound", slotNames[slot], s.sockets[slot], holes)
		}
	}
	for _, fd := range append(s.TCP(), s.UDP()...) {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("socket %d: flags %#x, %v: want close-on-exec", fd, flags, err)
		}
	}
}

func checkCounted(t *testing.T, s *Steering, route string, verdict table.Verdict, want uint64) {
	t.Helper()
	status, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range status.Counters {
		if c.Route == route && c.Verdicts[verdict] != want {
			t.Errorf("route %q: counted %d times %s, want %d", route, c.Verdicts[verdict], verdict, want)
		}
	}
}

// hostListeners opens wildcard listeners of both families, such as sshd's, and
// returns the socket of that for datagrams.
func hostListeners(t *testing.T, port int) (udp int) {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		t.Fatal(err)
	}
	udp, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		listener.Close()
		unix.Close(udp)
	})
	if err := unix.Bind(udp, &unix.SockaddrInet6{Port: port}); err != nil {
		t.Fatal(err)
	}
	return udp
}

// knockTCP connects to dst and says what became of it, as the client sees it.
func knockTCP(t *testing.T, s *Steering, dst netip.AddrPort) table.Verdict {
	t.Helper()
	conn, err := net.DialTimeout("tcp", dst.String(), silence)
	var timeout net.Error
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return table.Refuse
	case errors.As(err, &timeout) && timeout.Timeout():
		return table.Drop
	case err != nil:
		t.Fatal(err)
	}
	defer conn.Close()
	for _, listener := range s.TCP() {
		if fd, _, err := unix.Accept(listener); err == nil {
			unix.Close(fd)
			return table.Steer
		}
	}
	return table.Pass
}

// knockUDP sends a datagram to dst and says what became of it; host is a socket of
// the host's own.
func knockUDP(t *testing.T, s *Steering, host int, dst netip.AddrPort) table.Verdict {
	t.Helper()
	conn, err := net.Dial("udp", dst.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("knock")); err != nil {
		t.Fatal(err)
	}
	switch { // over loopback it is there before Write returns
	case slices.ContainsFunc(s.UDP(), func(fd int) bool { return received(t, fd) }):
		return table.Steer
	case received(t, host):
		return table.Pass
	}
	conn.SetReadDeadline(time.Now().Add(silence))
	if _, err = conn.Read(make([]byte, 1)); errors.Is(err, unix.ECONNREFUSED) {
		return table.Refuse
	}
	return table.Drop
}

// received takes one datagram from fd, if there is any.
func received(t *testing.T, fd int) bool {
	t.Helper()
	_, _, err := unix.Recvfrom(fd, make([]byte, 64), 0)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
	return err == nil
}
