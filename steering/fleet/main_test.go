package fleet

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/features"
)

// TestMain runs nothing where the programs cannot be loaded.
func TestMain(m *testing.M) {
	if errors.Is(features.HaveProgramHelper(ebpf.SchedCLS, asm.FnLoop), ebpf.ErrNotSupported) {
		fmt.Println("this kernel has no bpf_loop")
		os.Exit(0)
	}
	os.Exit(m.Run())
}
