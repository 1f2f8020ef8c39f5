package fastpath

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/steering/ingress"
)

// TestLoadWithoutPerfmon: to load the program takes CAP_BPF and CAP_NET_ADMIN.
func TestLoadWithoutPerfmon(t *testing.T) {
	newRig(t)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var only [2]unix.CapUserData
	for _, c := range []int{unix.CAP_BPF, unix.CAP_NET_ADMIN} {
		only[c/32].Effective |= 1 << (c % 32)
		only[c/32].Permitted |= 1 << (c % 32)
	}
	if err := unix.Capset(&header, &only[0]); err != nil { // of this thread, which ends with the test
		t.Fatal(err)
	}
	o, err := Load()
	var refused *ebpf.VerifierError
	if errors.As(err, &refused) {
		if ingress.Forecast() == ingress.Clsact { // Linux 5.10 and 6.1 want CAP_PERFMON, too
			t.Skip(err)
		}
		t.Logf("%+v", refused)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Close(); err != nil {
		t.Error(err)
	}
}

// TestWithoutPrivileges: a process that has given up CAP_NET_ADMIN goes by what it has read before, until
// the kernel reports that rules have changed: those it can't read.
func TestWithoutPrivileges(t *testing.T) {
	r := newRig(t)
	if _, err := exec.LookPath("iptables-legacy"); err == nil {
		r.shell("iptables-legacy -A FORWARD -j ACCEPT") // not an obstacle, and this process has to look at it
	}
	p := r.open()
	generation := p.Generation()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	r.check(unix.Capset(&header, &none[0])) // of this thread, which ends with the test

	for range 2 {
		r.check(p.Update())
		if off(p, "c0") != "" || off(p, "o0") != "" || p.Generation() != generation {
			t.Fatalf("without privileges: %+v", p.Devices())
		}
	}
	r.shell("nft add table inet filter") // a new process of root has all privileges
	p.checkRules()
	if !strings.Contains(off(p, "c0"), "operation not permitted") || p.Generation() == generation {
		t.Errorf("after a change: %+v", p.Devices())
	}
}
