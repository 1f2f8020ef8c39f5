package program

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// TestRun has the program judge the packet of context, and returns what it returns; afterwards
// context names the socket that it chose. It is BPF_PROG_TEST_RUN, which can do so for
// sk_lookup since Linux 5.13. [ebpf.Program.Run] would first load a program, to see
// whether the kernel has it, and that takes a capability that is given up.
func TestRun(program *ebpf.Program, context []byte, repeat uint32) (verdict uint32, err error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(unsafe.SliceData(context))
	address := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(context))))
	attr := struct { // bpf_attr.test of linux/bpf.h
		program, verdict     uint32
		_                    [2]uint32 // sizes of data
		_                    [2]uint64 // data
		repeat, duration     uint32
		contextIn, out       uint32 // sizes
		contextAt, contextTo uint64
		flags, cpu, batch, _ uint32
	}{
		program: uint32(program.FD()), repeat: repeat,
		contextIn: uint32(len(context)), out: uint32(len(context)), contextAt: address, contextTo: address,
	}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(program)
	switch errno {
	case 0:
		return attr.verdict, nil
	case enotsupp:
		return 0, errNoTestRun
	default:
		return 0, os.NewSyscallError("bpf BPF_PROG_TEST_RUN", errno)
	}
}

// enotsupp is the kernel's ENOTSUPP, which is not ENOTSUP and has no name in user space.
const enotsupp = unix.Errno(524)

var errNoTestRun = fmt.Errorf("this kernel cannot run sk_lookup programs without a packet, as Linux 5.13 can: %w", errors.ErrUnsupported)
