package steering

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/table"
)

// TestListeners fills the accept queue and the receive buffer, which nobody reads here: both are
// reported, and so is what found no room.
func TestListeners(t *testing.T) {
	netnstest.InNamespace(t)
	r := tabletest.Route("all", "1-65535", "192.0.2.1")
	r.Protocols = []config.Protocol{config.TCP, config.UDP}
	cfg := &config.Config{Steering: config.Steering{ManageRoutes: true}, Routes: []*config.Route{r}}
	compiled, err := table.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listen = config.Listen{Workers: 1, TCPBacklog: 2, UDPReceiveBuffer: 1 << 16}
	s, err := Open(cfg, compiled, discard)
	opened(t, s, err)
	before := listeners(t, s)
	if before[config.TCP].Room != 2 || before[config.TCP].Queued != 0 || before[config.UDP].Room != 2<<16 || before[config.TCP].Cookie == before[config.UDP].Cookie {
		t.Errorf("at first: %+v", before)
	}
	for range 10 {
		beginConnect(t, "192.0.2.1")
	}
	client, err := net.Dial("udp", "192.0.2.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const sent = 200
	for range sent {
		if _, err := client.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	var tcp, udp Listener
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		now := listeners(t, s)
		if tcp, udp = now[config.TCP], now[config.UDP]; tcp.Queued == 3 && tcp.Drops > 0 { // the kernel admits one more than the backlog
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("tcp: %+v", tcp)
		}
	}
	if udp.Queued == 0 || udp.Drops == 0 || udp.Drops >= sent {
		t.Errorf("udp: %+v", udp)
	}
	if tcp.Cookie != before[config.TCP].Cookie {
		t.Error("the cookie has changed")
	}
}

// TestListenersAfterRelease: what another process has now is not reported.
func TestListenersAfterRelease(t *testing.T) {
	s := open(t, everyAction())
	if err := s.Release(); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Listeners(); err != nil || len(all) > 0 {
		t.Errorf("%+v, %v", all, err)
	}
}

func listeners(t *testing.T, s *Steering) map[config.Protocol]Listener {
	t.Helper()
	all, err := s.Listeners()
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	return map[config.Protocol]Listener{all[0].Protocol: all[0], all[1].Protocol: all[1]}
}

// beginConnect sends a SYN and does not wait for the handshake. The socket ends with the test.
func beginConnect(t *testing.T, address string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	to := &unix.SockaddrInet4{Port: 80, Addr: [4]byte(net.ParseIP(address).To4())}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
}
