package steering

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
)

// TestShareConns: the listeners of another process get the conns of exactly the clients that the share takes, of both
// families. When they are closed, as by the end of that process, each next conn comes to this one; so it does after
// TakeBackConns, while they are open.
func TestShareConns(t *testing.T) {
	netnstest.InNamespace(t)
	cfg := withListen(tabletest.Managed("192.0.2.0/24"))
	cfg.Listen.Workers = 2
	s, err := Open(cfg, tabletest.Compile(t, cfg.Routes...), discard)
	opened(t, s, err)
	for _, end := range []string{"taken back", "closed"} {
		others, err := ListenForShare(cfg.Listen, discard)
		if err != nil || len(others) != 2 {
			t.Fatal(others, err)
		}
		closeOthers := func() {
			for _, fd := range others {
				unix.Close(fd)
			}
		}
		share, err := NewShare(50)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ShareConns(others[0], share); err != nil {
			t.Fatal(err)
		}
		if err := s.Replace(s.config, s.requested); err == nil {
			t.Error("another table came into service during the trial")
		}
		if err := s.ShareConns(others[0], share); err == nil {
			t.Error("two processes are on trial")
		}
		var want [2]uint64
		for host := range byte(100) {
			client := netip.AddrFrom4([4]byte{127, 0, 1, host})
			side := 0
			if share.Takes(client) {
				side = 1
			}
			want[side]++
			if got := acceptFrom(t, client, s.TCP(), others); got != side {
				t.Errorf("%v: process %d has the conn, want %d", client, got, side)
			}
		}
		checkNoDrift(t, s)
		counted, err := s.Status()
		if err != nil || counted.Trial == nil || counted.Trial.Old["steer"] != want[0] || counted.Trial.Next["steer"] != want[1] {
			t.Errorf("the kernel has counted %+v, %v, want %v", counted.Trial, err, want)
		}
		if end == "closed" {
			closeOthers()
		}
		if end == "taken back" {
			if err := s.TakeBackConns(); err != nil {
				t.Fatal(err)
			}
		}
		for host := range byte(50) {
			if acceptFrom(t, netip.AddrFrom4([4]byte{127, 0, 1, host}), s.TCP()) != 0 {
				t.Errorf("%s: a conn did not come back", end)
			}
		}
		if end == "taken back" {
			closeOthers()
		} else if err := s.TakeBackConns(); err != nil {
			t.Fatal(err)
		}
		if status, err := s.Status(); err != nil || status.Trial != nil {
			t.Errorf("%s: the trial goes on: %+v, %v", end, status.Trial, err)
		}
	}
	replace(t, s, tabletest.Managed("192.0.2.0/24"))
}

// acceptFrom makes a conn of a client, and says to which of the groups of listeners it came.
func acceptFrom(t *testing.T, client netip.Addr, groups ...[]int) int {
	t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(client, 0)), Timeout: 20 * time.Second}
	conn, err := dialer.Dial("tcp", "192.0.2.1:80")
	if err != nil {
		t.Error(fmt.Errorf("%v: %w", client, err))
		return -1
	}
	defer conn.Close()
	for i, group := range groups {
		for _, listener := range group {
			if fd, _, err := unix.Accept(listener); err == nil {
				unix.Close(fd)
				return i
			}
		}
	}
	t.Errorf("%v: nobody has the conn", client)
	return -1
}
