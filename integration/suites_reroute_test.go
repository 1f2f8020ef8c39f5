package integration

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// reroute makes a cgroup whose processes reach served when they connect to loopback over
// TCP, without noticing: getpeername and getsockname return loopback. It returns the
// cgroup's directory, to start processes in. Connections of other processes, those of
// anyport to its origin included, are not changed.
func reroute(t *testing.T, served netip.Addr) *os.File {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil {
		t.Fatal(err)
	}
	group := newCgroup(t)
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	for hook, swap := range map[ebpf.AttachType][2]netip.Addr{
		ebpf.AttachCGroupInet4Connect:     {loopback, served},
		ebpf.AttachCgroupInet4GetPeername: {served, loopback},
		ebpf.AttachCgroupInet4GetSockname: {served, loopback},
	} {
		attach(t, group, hook, replace(swap[0], swap[1]))
	}
	return group
}

// Offsets into struct bpf_sock_addr.
const (
	sockAddrIP4  = 4
	sockAddrType = 32
)

// replace is a program that puts one IPv4 address for another on TCP sockets.
func replace(from, to netip.Addr) asm.Instructions {
	const ctx, value = asm.R1, asm.R2
	return asm.Instructions{
		asm.LoadMem(value, ctx, sockAddrType, asm.Word),
		asm.JNE.Imm(value, unix.SOCK_STREAM, "out"),
		asm.LoadMem(value, ctx, sockAddrIP4, asm.Word),
		asm.JNE.Imm32(value, word(from), "out"),
		asm.Mov.Imm32(value, word(to)),
		asm.StoreMem(ctx, sockAddrIP4, value, asm.Word),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("out"), // 1 = let the system call go on
		asm.Return(),
	}
}

// word is an address as the kernel keeps it: four bytes in network order.
func word(addr netip.Addr) int32 {
	b := addr.As4()
	return int32(binary.NativeEndian.Uint32(b[:]))
}

func attach(t *testing.T, group *os.File, hook ebpf.AttachType, code asm.Instructions) {
	t.Helper()
	loaded, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.CGroupSockAddr, AttachType: hook, Instructions: code})
	if err != nil {
		t.Fatalf("%v: %v", hook, err)
	}
	defer loaded.Close() // the link keeps it
	attached, err := link.AttachCgroup(link.CgroupOptions{
		Path: fmt.Sprintf("/proc/self/fd/%d", group.Fd()), Attach: hook, Program: loaded,
	})
	if err != nil {
		t.Fatalf("%v: %v", hook, err)
	}
	t.Cleanup(func() { attached.Close() })
}

// newCgroup makes a cgroup in a mount of its own that no namespace sees, so it
// does not matter where, or whether, this machine has cgroup2 mounted.
func newCgroup(t *testing.T) *os.File {
	t.Helper()
	root, err := mountCgroup2()
	if err != nil {
		t.Fatalf("cgroup2: %v", err)
	}
	t.Cleanup(func() { unix.Close(root) })
	name := fmt.Sprintf("anyport-integration-%d", os.Getpid())
	if err := unix.Mkdirat(root, name, 0o755); err != nil {
		t.Fatalf("cgroup2: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unlinkat(root, name, unix.AT_REMOVEDIR); err != nil {
			t.Errorf("cgroup %s is left behind: %v", name, err)
		}
	})
	fd, err := unix.Openat(root, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("cgroup2: %v", err)
	}
	group := os.NewFile(uintptr(fd), name)
	t.Cleanup(func() { group.Close() })
	return group
}

func mountCgroup2() (int, error) {
	context, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, err
	}
	return unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
}
