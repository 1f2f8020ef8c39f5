package integration

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// gameFile is a route to one origin.
const gameFile = `
[route.game]
protocol = "udp"
prefixes = ["192.0.2.0/24"]
origins  = ["10.0.0.5"]
`

// serveGame serves gameFile with more keys, and has the origin echo.
func (r *rig) serveGame(t *testing.T, more string) *proxy {
	t.Helper()
	r.origin.answer(t, "10.0.0.5:4711", bytes.Clone)
	return r.edge.serveWith(t, gameFile+more)
}

// udpFlows are the live flows by their client.
func (p *proxy) udpFlows(t *testing.T) map[string]liveFlow {
	t.Helper()
	byClient := map[string]liveFlow{}
	for _, f := range p.flows(t, "--protocol", "udp") {
		byClient[f.Client] = f
	}
	return byClient
}

// goFast has flows ask and be answered until the kernel forwards all of them. ask has one datagram of a
// flow answered.
func (p *proxy) goFast(t *testing.T, ask func(net.Conn), conns ...net.Conn) {
	t.Helper()
	left := conns
	eventually(t, "the kernel forwards all flows", func() bool {
		for _, conn := range left {
			for range 10 {
				ask(conn)
			}
		}
		listed, still := p.udpFlows(t), []net.Conn(nil)
		for _, conn := range left {
			if listed[conn.LocalAddr().String()].Path != "kernel" {
				still = append(still, conn)
			}
		}
		if left = still; len(left) > 0 {
			t.Logf("%d flows are not in the kernel, such as %+v", len(left), listed[left[0].LocalAddr().String()])
		}
		return len(left) == 0
	})
}

// asker has a datagram echoed.
func asker(t *testing.T) func(net.Conn) {
	return func(conn net.Conn) {
		t.Helper()
		if got := trade(t, conn, "again"); got != "again" {
			t.Fatalf("answered %q", got)
		}
	}
}

// heard waits for the answer to one datagram, and reports whether it came.
func heard(conn net.Conn, question string, wait time.Duration) bool {
	if _, err := io.WriteString(conn, question); err != nil {
		return false
	}
	conn.SetReadDeadline(time.Now().Add(wait))
	defer conn.SetReadDeadline(time.Time{})
	answer := make([]byte, 1<<16)
	for {
		n, err := conn.Read(answer)
		if err != nil || string(answer[:n]) == question {
			return err == nil
		}
	}
}

// computeChecksums has a host compute the checksums of what it sends, as if there were a wire: between
// two veth devices the receiver would trust them unseen.
func (h *host) computeChecksums(t *testing.T, device string) {
	t.Helper()
	value := struct{ command, data uint32 }{command: unix.ETHTOOL_STXCSUM}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(request.name[:], device)
	h.do(func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); errno != 0 {
			t.Error(errno)
		}
	})
}

// reloads has anyport load its file again, which must do.
func (p *proxy) reloads(t *testing.T) {
	t.Helper()
	p.asks(t, "reload")
}
