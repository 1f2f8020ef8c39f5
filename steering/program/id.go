package program

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// IDOf returns the id of a program, 0 for nil. [ebpf.Program.Info] would also read
// /proc/self/fdinfo, which before Linux 5.14 is root's in a process that has changed its
// user.
func IDOf(p *ebpf.Program) (ebpf.ProgramID, error) {
	if p == nil {
		return 0, nil
	}
	var info struct{ kind, id uint32 } // how struct bpf_prog_info of linux/bpf.h begins
	var pin runtime.Pinner
	defer pin.Unpin()
	pin.Pin(&info)
	attr := struct { // bpf_attr.info
		fd, size uint32
		at       uint64
	}{uint32(p.FD()), uint32(unsafe.Sizeof(info)), uint64(uintptr(unsafe.Pointer(&info)))}
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_OBJ_GET_INFO_BY_FD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	runtime.KeepAlive(p)
	if errno != 0 {
		return 0, fmt.Errorf("id of the steering program: %w", os.NewSyscallError("bpf BPF_OBJ_GET_INFO_BY_FD", errno))
	}
	return ebpf.ProgramID(info.id), nil
}
