package fastpath

import (
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/rlimit"
)

// TestMain has maps count against no limit, as the steering does before Linux 5.11.
func TestMain(m *testing.M) {
	if err := rlimit.RemoveMemlock(); err != nil && os.Geteuid() == 0 {
		fmt.Println(err)
	}
	os.Exit(m.Run())
}

// since skips a test on older kernels than major.minor, for a reason.
func since(t *testing.T, major, minor uint32, why string) {
	t.Helper()
	if before(major, minor) {
		t.Skipf("before Linux %d.%d %s", major, minor, why)
	}
}

// before compares the kernel's version.
func before(major, minor uint32) bool {
	version, err := features.LinuxVersionCode()
	return err == nil && version < major<<16|minor<<8
}
