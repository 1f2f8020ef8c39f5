package ingress

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"anyport/steering/program"
)

// Hook is what the filters of one program run. A filter has no descriptor: it stays when its process dies,
// and would go on with the program. So filters run a program that only calls the one in a slot. The slot
// is a map of programs, and the kernel empties such a map when no process has a descriptor of it any more
// and nobody has pinned it (map_release_uref). So what is attached by filters ends when links would, and
// another program takes its place by one write, which needs no privilege since Linux 5.19. What stays
// are filters that do nothing.
type Hook struct {
	Caller *ebpf.Program
	Slot   *ebpf.Map
}

// Names of a hook's descriptors on their way to another process. They are part of the protocol between
// builds.
const (
	hookCaller = "caller"
	hookSlot   = "slot"
)

// unspec is TC_ACT_UNSPEC: the next filter decides.
const unspec = -1

// newHook needs CAP_BPF and CAP_NET_ADMIN.
func newHook() (*Hook, error) {
	slot, err := ebpf.NewMap(&ebpf.MapSpec{Name: "anyport_slot", Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return nil, fmt.Errorf("make the map of the program that filters run: %w", err)
	}
	caller, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "anyport_call", Type: ebpf.SchedCLS, License: "Dual BSD/GPL",
		Instructions: asm.Instructions{ // R1 is the packet, for both
			asm.LoadMapPtr(asm.R2, slot.FD()),
			asm.Mov.Imm(asm.R3, 0),
			asm.FnTailCall.Call(),
			asm.Mov.Imm(asm.R0, unspec), // the slot is empty
			asm.Return(),
		},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("load the program that filters run: %w", program.Advise(err)), slot.Close())
	}
	return &Hook{caller, slot}, nil
}

// fill has the filters run p.
func (h *Hook) fill(p *ebpf.Program) error {
	if err := h.Slot.Put(uint32(0), uint32(p.FD())); err != nil {
		return fmt.Errorf("have the filters of tc run the program: %w", err)
	}
	return nil
}

// clear has the filters do nothing.
func (h *Hook) clear() error {
	if err := h.Slot.Delete(uint32(0)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("have the filters of tc do nothing: %w", err)
	}
	return nil
}

func (h *Hook) id() (ebpf.ProgramID, error) { return program.IDOf(h.Caller) }

// Close closes the descriptors.
func (h *Hook) Close() error {
	if h == nil {
		return nil
	}
	return errors.Join(h.Caller.Close(), h.Slot.Close())
}

// adopt makes one of the two of a descriptor that another process has given. One of an unknown name is closed.
func (h *Hook) adopt(name string, fd int) (err error) {
	switch name {
	case hookCaller:
		h.Caller, err = ebpf.NewProgramFromFD(fd)
	case hookSlot:
		h.Slot, err = ebpf.NewMapFromFD(fd)
	default:
		err = unix.Close(fd)
	}
	return err
}
