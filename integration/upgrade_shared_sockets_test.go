package integration

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestUpgradeOfSharedSockets moves enough flows that they are sent in parts: the new
// process has each socket that flows share once, as the old one did.
func TestUpgradeOfSharedSockets(t *testing.T) {
	t.Parallel()
	const clients, dsts = 70, 70 // 4,096 flows go at once
	r := newRig(t)
	r.origin.echoes(t, "10.0.0.5:4711")
	p := r.edge.serveWith(t, "[route.spp]\nprotocol = \"udp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5:4711\"]\nproxy_protocol = \"spp\"\nudp_idle_timeout = \"1h\"\n")
	f := newFamily(t, p)
	var all []*net.UDPConn
	for range clients {
		all = append(all, r.client.listenPacket(t, "0.0.0.0:0"))
	}
	ask := func(when string) {
		t.Helper()
		for _, conn := range all {
			conn.SetDeadline(time.Now().Add(patience))
			for port := range dsts {
				answered(t, conn, netip.AddrPortFrom(netip.MustParseAddr(dstV4), uint16(10000+port)), when)
			}
		}
	}
	ask("before")
	f.upgrade(t)
	if twice := openTwice(t, f.pids[1]); len(twice) > 0 {
		t.Errorf("after the upgrade these are open more than once: %v", twice)
	}
	ask("after")
	if twice := openTwice(t, f.pids[1]); len(twice) > 0 {
		t.Errorf("in the end these are open more than once: %v", twice)
	}
}

// echoes answers each datagram with itself.
func (h *host) echoes(t *testing.T, address string) {
	t.Helper()
	h.answerTo(t, address, func(datagram []byte, _ netip.AddrPort) []byte { return slices.Clone(datagram) })
}

// answered sends a datagram to dst and wants it back from there.
func answered(t *testing.T, conn *net.UDPConn, dst netip.AddrPort, text string) {
	t.Helper()
	if _, err := conn.WriteToUDPAddrPort([]byte(text), dst); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 100)
	n, from, err := conn.ReadFromUDPAddrPort(answer)
	if from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port()); err != nil || from != dst || string(answer[:n]) != text {
		t.Fatalf("sent %q to %v, got %q from %v, %v", text, dst, answer[:n], from, err)
	}
}

// openTwice names the sockets that a process has by more than one file descriptor.
func openTwice(t *testing.T, pid int) []string {
	t.Helper()
	times := map[string]int{}
	for _, file := range openFiles(t, pid) {
		if times[file]++; times[file] == 1 || !strings.HasPrefix(file, "socket:") {
			times[file] = min(times[file], 1)
		}
	}
	maps.DeleteFunc(times, func(_ string, n int) bool { return n < 2 })
	return slices.Sorted(maps.Keys(times))
}

// openFiles are what the file descriptors of a process lead to.
func openFiles(t *testing.T, pid int) (files []string) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if file, err := os.Readlink(dir + "/" + entry.Name()); err == nil { // else it has been closed since
			files = append(files, file)
		}
	}
	return files
}
