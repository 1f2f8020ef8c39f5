package steering

import (
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
)

// TestWorkers: all that one client sends arrives at one of the UDP sockets, however many
// ports it uses; the clients together use all sockets. TCP conns of one client are shared.
func TestWorkers(t *testing.T) {
	netnstest.InNamespace(t)
	cfg := withListen(tabletest.Managed("192.0.2.0/24"))
	cfg.Listen.Workers = 4
	s, err := Open(cfg, tabletest.Compile(t, cfg.Routes...), discard)
	opened(t, s, err)
	checkSockets(t, s, 4, 0)
	clients := make([]int, len(s.UDP()))
	for host := byte(1); host <= 64; host++ {
		client := &net.UDPAddr{IP: net.IPv4(127, 0, 0, host)}
		for port := 2001; port <= 2008; port++ {
			sendFrom(t, client, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: port})
		}
		got := receiveAll(t, s, 8)
		i := slices.Index(got, 8)
		if i < 0 {
			t.Errorf("%v: the sockets got %v of 8 datagrams", client, got)
			continue
		}
		clients[i]++
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

// receiveAll takes this number of datagrams, which a busy kernel delivers later, and counts them
// by socket.
func receiveAll(t *testing.T, s *Steering, want int) []int {
	t.Helper()
	got, sum := make([]int, len(s.UDP())), 0
	for begun := time.Now(); sum < want && time.Since(begun) < 20*time.Second; {
		for i, fd := range s.UDP() {
			for received(t, fd) {
				got[i]++
				sum++
			}
		}
	}
	return got
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
