package integration

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// patience bounds every wait for something that must happen.
const patience = 20 * time.Second

// silence is how long a test listens for something that must not happen.
const silence = 500 * time.Millisecond

// host is one network namespace.
type host struct {
	name   string
	handle netns.NsHandle
	net    *netlink.Handle // links, addresses and routes
	calls  chan func()     // run on the host's own thread
}

// newHost makes a namespace with lo up and IPv6 addresses usable at once.
func newHost(t *testing.T, name string) *host {
	t.Helper()
	needRoot(t)
	h := &host{name: name, calls: make(chan func())}
	ready := make(chan error)
	go h.live(ready)
	if err := <-ready; err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() {
		h.net.Close()
		h.handle.Close()
		close(h.calls)
	})
	return h
}

// live is the host's own thread, started by newHost and ended with the test. Its
// end is the end of the processes it started (PR_SET_PDEATHSIG follows the thread
// that forked), so a test binary that is killed leaves none behind. It never
// unlocks: the runtime then ends the thread, which nobody else may inherit.
func (h *host) live(ready chan<- error) {
	runtime.LockOSThread()
	ready <- h.setUp()
	for call := range h.calls {
		call()
	}
}

func (h *host) setUp() (err error) {
	if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if h.handle, err = netns.Get(); err != nil {
		return err
	}
	if h.net, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return err
	}
	lo, err := h.net.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, scope := range []string{"all", "default"} { // no duplicate address detection: no second of waiting
		if err := sysctl("net/ipv6/conf/"+scope+"/accept_dad", "0"); err != nil {
			return err
		}
	}
	return h.net.LinkSetUp(lo)
}

// sysctl writes one key of the namespace that the calling thread is in.
func sysctl(key, value string) error {
	return os.WriteFile(filepath.Join("/proc/sys", key), []byte(value), 0)
}

// do runs fn on a thread inside the namespace. Sockets made there stay there and
// can be used from anywhere afterwards. The thread ends with fn.
func (h *host) do(fn func()) {
	done := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer close(done)
		if err := netns.Set(h.handle); err != nil {
			panic(err) // the handle is open and we are root: a fault of the harness
		}
		fn()
	}()
	<-done
}

// start starts a process on the host's own thread. It is killed when the host ends.
func (h *host) start(cmd *exec.Cmd) (err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan struct{})
	h.calls <- func() {
		defer close(done)
		err = cmd.Start()
	}
	<-done
	return err
}

// output runs a command to its end and gives what it printed.
func (h *host) output(t *testing.T, name string, args ...string) string {
	t.Helper()
	var out []byte
	var err error
	h.do(func() { out, err = exec.Command(name, args...).CombinedOutput() })
	if err != nil {
		t.Fatalf("%s: %s %v: %v\n%s", h.name, name, args, err, out)
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
		t.Fatalf("%s: %v", h.name, err)
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
		t.Fatalf("%s: %v", h.name, err)
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
		t.Fatalf("%s: %v", h.name, err)
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
