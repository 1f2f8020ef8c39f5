package privileges

import (
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

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

// TestReadSelf: what is effective is permitted, and the names are those of this process.
func TestReadSelf(t *testing.T) {
	effective, err := Effective()
	if err != nil {
		t.Fatal(err)
	}
	permitted, err := Permitted()
	if err != nil {
		t.Fatal(err)
	}
	if effective&^permitted != 0 {
		t.Errorf("%v are effective, and only %v permitted", effective.Names(), permitted.Names())
	}
	held, err := Read()
	if err != nil || !slices.Equal(held.Capabilities, effective.Names()) {
		t.Errorf("%+v, %v, want %v", held, err, effective.Names())
	}
	if os.Geteuid() == 0 && held.User != "root" {
		t.Errorf("root is %q", held.User)
	}
	if held.Capabilities == nil {
		t.Error("no capabilities are null in JSON")
	}
}

func TestUserName(t *testing.T) {
	if name := userName(0); name != "root" {
		t.Errorf("user 0 is %q", name)
	}
	if name := userName(987654321); name != "987654321" {
		t.Errorf("a user without a name is %q", name)
	}
}
