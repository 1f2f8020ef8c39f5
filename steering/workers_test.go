package steering

import (
	"net"
	"slices"
	"testing"

	"anyport/config"

	"golang.org/x/sys/unix"
)

// TestWorkers: all that one client sends arrives at one of the UDP sockets, however many
// ports it uses; the clients together use all sockets. TCP conns of one client are shared.
func TestWorkers(t *testing.T) {
	inNamespace(t)
	cfg := withListen(managed("192.0.2.0/24"))
	cfg.Listen.Workers = 4
	s, err := Open(cfg, compile(t, cfg.Routes...), discard)
	opened(t, s, err)
	checkSockets(t, s, 4, 0)
	clients := make([]int, len(s.UDP()))
	for host := byte(1); host <= 64; host++ {
		client := &net.UDPAddr{IP: net.IPv4(127, 0, 0, host)}
		for port := 2001; port <= 2008; port++ {
			sendFrom(t, client, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: port})
		}
		for i, fd := range s.UDP() {
			got := 0
			for received(t, fd) {
				got++
			}
			if got != 0 && got != 8 {
				t.Errorf("%v: socket %d got %d of 8 datagrams", client, i, got)
			}
			clients[i] += got / 8
		}
	}
	if slices.Contains(clients, 0) {
		t.Errorf("the sockets have %v of 64 clients", clients)
	}
	accepted := make([]int, len(s.TCP()))
	for range 64 {
		accepted[acceptOne(t, s, "192.0.2.1:80")]++
	}
	if slices.Contains(accepted, 0) {
		t.Errorf("the sockets have %v of 64 conns", accepted)
	}
	if err := s.Refuse(config.UDP); err != nil {
		t.Fatal(err)
	}
	checkDrift(t, s, slices.Repeat([]string{"the udp socket is not in its slot"}, 4)...)
}

func sendFrom(t *testing.T, client, dst *net.UDPAddr) {
	t.Helper()
	conn, err := net.DialUDP("udp4", client, dst)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

// acceptOne makes a conn, and says which of the sockets had it.
func acceptOne(t *testing.T, s *Steering, dst string) int {
	t.Helper()
	conn, err := net.Dial("tcp", dst)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i, listener := range s.TCP() {
		if fd, _, err := unix.Accept(listener); err == nil {
			unix.Close(fd)
			return i
		}
	}
	t.Fatal("nobody has it")
	return 0
}
