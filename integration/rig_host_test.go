package integration

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"anyport/integration/lab"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// silence is how long a test listens for something that must not happen.
const silence = 500 * time.Millisecond

// host is one network namespace.
type host struct {
	*lab.Host
	net      *netlink.Handle // links and routes
	fastPath string          // how its anyports forward UDP flows; "": by fastPathVariable
	proxies  []*proxy        // those that were started
}

// newHost makes a host that ends with the test.
func newHost(t *testing.T, name string) *host {
	t.Helper()
	needRoot(t)
	needTime(t)
	made, err := lab.NewHost(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.Close)
	handle, err := netlink.NewHandleAt(netns.NsHandle(made.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(handle.Close)
	return &host{Host: made, net: handle}
}

// do runs fn inside the namespace, so that the sockets and processes that fn creates are
// there.
func (h *host) do(fn func()) {
	err := h.Do(func() error { fn(); return nil })
	if err != nil {
		panic(err) // the handle is open and we are root: a fault of the harness
	}
}

// output runs a command to its end and returns what it printed.
func (h *host) output(t *testing.T, name string, args ...string) string {
	t.Helper()
	var out []byte
	var err error
	h.do(func() { out, err = exec.Command(name, args...).CombinedOutput() })
	if err != nil {
		t.Fatalf("%s: %s %v: %v\n%s", h.Name, name, args, err, out)
	}
	return string(out)
}

// tryDial connects from a source address ("" = the kernel's choice).
func (h *host) tryDial(network, source, address string) (conn net.Conn, err error) {
	h.do(func() { conn, err = dialHere(network, source, address) })
	return conn, err
}

// dialHere is tryDial for a thread that is in the namespace already.
func dialHere(network, source, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: patience}
	if source != "" {
		local, err := resolve(network, source)
		if err != nil {
			return nil, err
		}
		dialer.LocalAddr = local
	}
	return dialer.Dial(network, address)
}

func resolve(network, source string) (net.Addr, error) {
	address := net.JoinHostPort(source, "0")
	if network[:3] == "udp" {
		return net.ResolveUDPAddr(network, address)
	}
	return net.ResolveTCPAddr(network, address)
}

// dial connects, or ends the test. The connection ends with the test and gives up
// on everything after patience.
func (h *host) dial(t *testing.T, network, address string) net.Conn {
	t.Helper()
	conn, err := h.tryDial(network, "", address)
	if err != nil {
		t.Fatalf("%s: %v", h.Name, err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { conn.Close() })
	return conn
}

// listen opens a TCP listener that ends with the test. Its address may become local
// later.
func (h *host) listen(t *testing.T, address string) net.Listener {
	t.Helper()
	return h.listenOn(t, "tcp", address)
}

func (h *host) listenOn(t *testing.T, network, address string) net.Listener {
	t.Helper()
	var listener net.Listener
	var err error
	h.do(func() { listener, err = freely.Listen(context.Background(), network, address) })
	if err != nil {
		t.Fatalf("%s: %v", h.Name, err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// listenPacket is listen for UDP: a socket that is not connected.
func (h *host) listenPacket(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	var conn net.PacketConn
	var err error
	h.do(func() { conn, err = freely.ListenPacket(context.Background(), "udp", address) })
	if err != nil {
		t.Fatalf("%s: %v", h.Name, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

// freely binds to addresses that are not local (yet).
var freely = net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) // holds for IPv6 sockets, too
	})
	return errors.Join(controlErr, err)
}}
