package peer

import (
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Offsets into struct bpf_sk_lookup.
const (
	lookupProtocol = 12
	lookupLocalIP4 = 40
)

// steer brings the first packet of every conn to the served prefix to a socket,
// by the smallest program that can.
func (d *Deployment) steer(socket *os.File) error {
	if err := rlimit.RemoveMemlock(); err != nil {
		return err
	}
	sockets, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.SockMap, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return fmt.Errorf("sockmap: %w", err)
	}
	defer sockets.Close() // the program keeps it
	if err := sockets.Put(uint32(0), uint64(socket.Fd())); err != nil {
		return fmt.Errorf("sockmap: %w", err)
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SkLookup, AttachType: ebpf.AttachSkLookup, License: "Dual BSD/GPL", Instructions: d.assign(sockets),
	})
	if err != nil {
		return fmt.Errorf("steering program: %w", err)
	}
	defer program.Close() // the link keeps it
	attached, err := link.AttachNetNs(d.Edge.FD(), program)
	if err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	d.closers = append(d.closers, func() { attached.Close() })
	return d.Edge.Local(d.Served.String(), 0)
}

// assign chooses the socket for TCP to the first three bytes of the served prefix.
func (d *Deployment) assign(sockets *ebpf.Map) asm.Instructions {
	const ctx, socket, value = asm.R6, asm.R7, asm.R2
	b := d.Served.Addr().As4()
	return asm.Instructions{
		asm.Mov.Reg(ctx, asm.R1),
		asm.LoadMem(value, ctx, lookupProtocol, asm.Word),
		asm.JNE.Imm(value, unix.IPPROTO_TCP, "pass"),
		asm.LoadMem(value, ctx, lookupLocalIP4, asm.Word),
		asm.HostTo(asm.BE, value, asm.Word),
		asm.RSh.Imm(value, 8),
		asm.JNE.Imm(value, int32(b[0])<<16|int32(b[1])<<8|int32(b[2]), "pass"),

		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, sockets.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),

		asm.Mov.Reg(socket, asm.R0),
		asm.Mov.Reg(asm.R1, ctx),
		asm.Mov.Reg(asm.R2, socket),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnSkAssign.Call(),
		asm.Mov.Reg(asm.R1, socket),
		asm.FnSkRelease.Call(),

		asm.Mov.Imm(asm.R0, 1).WithSymbol("pass"), // SK_PASS
		asm.Return(),
	}
}
