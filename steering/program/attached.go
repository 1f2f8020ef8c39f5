package program

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// Attached is one sk_lookup program that is attached to a network namespace.
type Attached struct {
	ID   uint32
	Name string // "": to read it needs CAP_SYS_ADMIN
}

// AttachedPrograms lists the sk_lookup programs in this thread's network namespace, those of
// a running anyport too, in the order in which they run. It needs CAP_NET_ADMIN.
func AttachedPrograms() ([]Attached, error) {
	netns, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("open this network namespace: %w", err)
	}
	defer netns.Close()
	result, err := link.QueryPrograms(link.QueryOptions{Target: int(netns.Fd()), Attach: ebpf.AttachSkLookup})
	if err != nil {
		return nil, fmt.Errorf("list the sk_lookup programs: %w", err)
	}
	var all []Attached
	for _, p := range result.Programs {
		all = append(all, Attached{ID: uint32(p.ID), Name: programName(p.ID)})
	}
	return all, nil
}

// programName returns "" where the name cannot be read.
func programName(id ebpf.ProgramID) string {
	program, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return ""
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return ""
	}
	return info.Name
}
