package fastpath

import (
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf/rlimit"
)

// TestMain has maps count against no limit, as the steering does before Linux 5.11.
func TestMain(m *testing.M) {
	if err := rlimit.RemoveMemlock(); err != nil && os.Geteuid() == 0 {
		fmt.Println(err)
	}
	os.Exit(m.Run())
}
