package steering

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/netnstest"
	"anyport/steering/table"
)

// TestWithdraw looks at the moment between the two lookups of a packet, a socket match's and TCP's: the match does
// not match any more, and what it has let through before is not refused. After that, the slot is empty.
func TestWithdraw(t *testing.T) {
	netnstest.InNamespace(t)
	addAddress(t, "2001:db8:c::1/128")
	s := openHere(t, everyAction())
	host := hostListeners(t, 80)
	countSocketMatches(t)
	dsts := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:80"), netip.MustParseAddrPort("[2001:db8:1::1]:80")}
	knock := func(want table.Verdict, when string) {
		t.Helper()
		for _, dst := range dsts {
			if got := knockTCP(t, s, dst); got != want {
				t.Errorf("%s: tcp %s: %s, want %s", when, dst, got, want)
			}
			if got := knockUDP(t, s, host, dst); got != want {
				t.Errorf("%s: udp %s: %s, want %s", when, dst, got, want)
			}
		}
	}
	knock(table.Steer, "before")
	if n := socketMatches(t); strings.Contains(n, " 0") {
		t.Fatalf("the socket matches have counted %s while anyport serves", n)
	}
	before := socketMatches(t)
	standIns := s.withdraw(servingSlots...)
	if len(standIns) != len(servingSlots) {
		t.Fatalf("%d stand-ins", len(standIns))
	}
	knock(table.Drop, "withdrawn")
	if now := socketMatches(t); now != before {
		t.Errorf("the socket matches have counted %s more than %s", now, before)
	}
	if err := closeStandIns(standIns); err != nil {
		t.Fatal(err)
	}
	knock(table.Refuse, "closed")
}

// TestRefuseLeavesEmptySlot: the stand-in is gone when Refuse returns, and no slot that was empty gets one.
func TestRefuseLeavesEmptySlot(t *testing.T) {
	s := open(t, everyAction())
	for range 2 {
		if err := s.Refuse(config.TCP); err != nil {
			t.Fatal(err)
		}
		var cookie uint64
		if err := s.objects.Sockets.Lookup(bpf.SteerSlotTCP, &cookie); err == nil {
			t.Errorf("socket %d is in the slot", cookie)
		}
	}
	if err := s.replaceSockets(bpf.SteerSlotTCP, s.TCP()[0]); err != nil {
		t.Fatal(err)
	}
	if got := knockTCP(t, s, netip.MustParseAddrPort("192.0.2.1:80")); got != table.Refuse {
		t.Errorf("an empty slot was filled: %s", got)
	}
}

// socketMatch are the ways in which rules ask for the socket of a packet.
var socketMatch = []string{"-m socket", "-m socket --transparent"}

// countSocketMatches has iptables count the first packets that socket matches match.
func countSocketMatches(t *testing.T) {
	t.Helper()
	for _, command := range []string{"iptables", "ip6tables"} {
		for _, match := range socketMatch {
			for _, packets := range []string{"-p tcp --syn --dport 80", "-p udp --dport 80"} {
				rule := fmt.Sprintf("%s -w -t mangle -A PREROUTING %s %s", command, packets, match)
				words := strings.Fields(rule)
				if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
					t.Skipf("%s: %v: %s", rule, err, out)
				}
			}
		}
	}
}

// socketMatches is the number of packets that each rule has counted.
func socketMatches(t *testing.T) (counts string) {
	t.Helper()
	for _, command := range []string{"iptables", "ip6tables"} {
		out, err := exec.Command(command, "-w", "-t", "mangle", "-nvxL", "PREROUTING").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n")[2:] { // after two lines of heads
			counts += " " + strings.Fields(line)[0]
		}
	}
	return counts
}
