package interpreter

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Run is what a program did.
type Run struct {
	Instructions int // helpers are one each
	Calls        int // of helpers
	Result       uint64
}

const (
	stackSize = 512
	longest   = 1_000_000 // instructions of a run
)

// machine is the state of one run.
type machine struct {
	maps    map[string]*ebpf.Map
	loaded  []*ebpf.Map // the maps to which the program has pointers: a pointer is the index plus one
	regs    [11]uint64
	regions memory
	now     uint64
	calls   int
}

// Interpret runs a program on a context while all clocks show now.
func Interpret(program asm.Instructions, maps map[string]*ebpf.Map, context []byte, now uint64) (run Run, err error) {
	m := &machine{maps: maps, now: now}
	m.regs[asm.R10] = m.regions.add(make([]byte, stackSize)) + stackSize
	m.regs[asm.R1] = m.regions.add(slices.Clone(context))
	at := map[asm.RawInstructionOffset]int{} // jumps count in these offsets
	var offsets []asm.RawInstructionOffset
	for all := program.Iterate(); all.Next(); {
		at[all.Offset] = all.Index
		offsets = append(offsets, all.Offset)
	}
	for i := 0; run.Instructions < longest; run.Instructions++ {
		if i >= len(program) {
			return run, fmt.Errorf("it has no instruction %d", i)
		}
		ins := program[i]
		if ins.OpCode.Class().IsJump() && ins.OpCode.JumpOp() == asm.Exit {
			run.Calls, run.Result = m.calls, m.regs[asm.R0]
			return run, nil
		}
		jumps, err := m.step(ins)
		if err != nil {
			return run, fmt.Errorf("instruction %d, %v: %w", i, ins, err)
		}
		if i++; jumps {
			i = at[offsets[i]+asm.RawInstructionOffset(ins.Offset)]
		}
	}
	return run, fmt.Errorf("it has not ended after %d instructions", longest)
}

// step runs one instruction and reports whether it jumps.
func (m *machine) step(ins asm.Instruction) (jumps bool, err error) {
	op := ins.OpCode
	switch op.Class() {
	case asm.LdClass:
		return false, m.loadConstant(ins)
	case asm.LdXClass:
		m.regs[ins.Dst], err = m.regions.load(m.regs[ins.Src]+uint64(ins.Offset), op.Size().Sizeof())
		return false, err
	case asm.StClass:
		return false, m.regions.store(m.regs[ins.Dst]+uint64(ins.Offset), op.Size().Sizeof(), uint64(ins.Constant))
	case asm.StXClass:
		if op.Mode() != asm.MemMode {
			return false, fmt.Errorf("atomic operations are not known here")
		}
		return false, m.regions.store(m.regs[ins.Dst]+uint64(ins.Offset), op.Size().Sizeof(), m.regs[ins.Src])
	case asm.ALUClass, asm.ALU64Class:
		m.regs[ins.Dst], err = compute(ins, m.regs[ins.Dst], m.operand(ins))
		return false, err
	}
	if op.JumpOp() == asm.Call {
		return false, m.call(asm.BuiltinFunc(ins.Constant))
	}
	return compare(ins, m.regs[ins.Dst], m.operand(ins))
}

func (m *machine) operand(ins asm.Instruction) uint64 {
	if ins.OpCode.Source() == asm.RegSource {
		return m.regs[ins.Src]
	}
	return uint64(ins.Constant)
}

// loadConstant loads eight bytes, or a pointer to a map.
func (m *machine) loadConstant(ins asm.Instruction) error {
	m.regs[ins.Dst] = uint64(ins.Constant)
	if !ins.IsLoadFromMap() {
		return nil
	}
	one, ok := m.maps[ins.Reference()]
	if !ok {
		return fmt.Errorf("no map %q", ins.Reference())
	}
	m.loaded = append(m.loaded, one)
	m.regs[ins.Dst] = uint64(len(m.loaded))
	return nil
}
