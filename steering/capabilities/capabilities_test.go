package capabilities

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestRead compares capget(2) with what /proc says, of this process and of process 1.
func TestRead(t *testing.T) {
	for _, pid := range []int{0, os.Getpid(), 1} {
		path := fmt.Sprintf("/proc/%d/status", pid)
		if pid == 0 {
			path = "/proc/thread-self/status"
		}
		held, err := Read(pid)
		if err != nil {
			t.Fatal(err)
		}
		status, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for field, set := range map[string]Set{"CapEff": held.Effective, "CapPrm": held.Permitted} {
			if want := fmt.Sprintf("%s:\t%016x\n", field, uint64(set)); !strings.Contains(string(status), want) {
				t.Errorf("pid %d: capget has %s, which %s does not", pid, want, path)
			}
		}
	}
	if _, err := Read(1 << 22); err == nil {
		t.Error("a process that does not exist has capabilities")
	}
}

func TestNames(t *testing.T) {
	for set, want := range map[Set][]string{
		0: {},
		Of(unix.CAP_BPF, unix.CAP_NET_BIND_SERVICE, unix.CAP_NET_ADMIN): {"CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN", "CAP_BPF"},
		Of(unix.CAP_CHOWN, unix.CAP_LAST_CAP, 63):                       {"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE", "CAP_63"},
	} {
		if diff := cmp.Diff(want, set.Names()); diff != "" {
			t.Errorf("%#x: -want +got:\n%s", uint64(set), diff)
		}
	}
}

func TestHas(t *testing.T) {
	set := Of(unix.CAP_NET_ADMIN, unix.CAP_BPF)
	for capability, want := range map[int]bool{unix.CAP_BPF: true, unix.CAP_NET_ADMIN: true, unix.CAP_SYS_ADMIN: false, 63: false} {
		if set.Has(capability) != want {
			t.Errorf("%v has %v: %t, want %t", set.Names(), Of(capability).Names(), !want, want)
		}
	}
}

func TestSet(t *testing.T) {
	s := Of(unix.CAP_NET_ADMIN, unix.CAP_BPF, 63)
	for capability, want := range map[int]bool{unix.CAP_NET_ADMIN: true, unix.CAP_BPF: true, 63: true, unix.CAP_CHOWN: false, unix.CAP_SYS_ADMIN: false} {
		if s.Has(capability) != want {
			t.Errorf("capability %d: %v, want %v", capability, s.Has(capability), want)
		}
	}
	if got := s.Numbers(); !slices.Equal(got, []int{unix.CAP_NET_ADMIN, unix.CAP_BPF, 63}) {
		t.Errorf("numbers %v", got)
	}
	if got := Set(0).Numbers(); len(got) != 0 {
		t.Errorf("the empty set has %v", got)
	}
	if Of(s.Numbers()...) != s {
		t.Error("a set of its own numbers is another one")
	}
}
