package interpreter

import (
	"fmt"
	"math/bits"

	"github.com/cilium/ebpf/asm"
)

// compute is what an arithmetic instruction makes of a and b.
func compute(ins asm.Instruction, a, b uint64) (uint64, error) {
	op := ins.OpCode
	if op.ALUOp() == asm.Swap {
		return swap(op, a, ins.Constant)
	}
	narrow := op.Class() == asm.ALUClass
	if narrow {
		a, b = uint64(uint32(a)), uint64(uint32(b))
	}
	var c uint64
	switch op.ALUOp() {
	case asm.Add:
		c = a + b
	case asm.Sub:
		c = a - b
	case asm.Mul:
		c = a * b
	case asm.Div:
		c = a / b // clang leaves no division by zero
	case asm.Or:
		c = a | b
	case asm.And:
		c = a & b
	case asm.Xor:
		c = a ^ b
	case asm.LSh:
		c = a << (b & 63)
	case asm.RSh:
		c = a >> (b & 63)
	case asm.ArSh:
		c = uint64(int64(a) >> (b & 63))
	case asm.Neg:
		c = -a
	case asm.Mov:
		c = b
	default:
		return 0, fmt.Errorf("unknown")
	}
	if narrow {
		c = uint64(uint32(c))
	}
	return c, nil
}

// swap turns the bytes of a for another byte order, on a little-endian machine.
func swap(op asm.OpCode, a uint64, width int64) (uint64, error) {
	switch {
	case op.Endianness() == asm.LE:
		return a & (1<<width - 1), nil
	case width == 16:
		return uint64(bits.ReverseBytes16(uint16(a))), nil
	case width == 32:
		return uint64(bits.ReverseBytes32(uint32(a))), nil
	case width == 64:
		return bits.ReverseBytes64(a), nil
	}
	return 0, fmt.Errorf("unknown width")
}

// compare says whether an instruction jumps.
func compare(ins asm.Instruction, a, b uint64) (bool, error) {
	if ins.OpCode.Class() == asm.Jump32Class {
		a, b = uint64(uint32(a)), uint64(uint32(b))
	}
	switch ins.OpCode.JumpOp() {
	case asm.Ja:
		return true, nil
	case asm.JEq:
		return a == b, nil
	case asm.JNE:
		return a != b, nil
	case asm.JGT:
		return a > b, nil
	case asm.JGE:
		return a >= b, nil
	case asm.JLT:
		return a < b, nil
	case asm.JLE:
		return a <= b, nil
	case asm.JSet:
		return a&b != 0, nil
	case asm.JSGT:
		return int64(a) > int64(b), nil
	case asm.JSGE:
		return int64(a) >= int64(b), nil
	case asm.JSLT:
		return int64(a) < int64(b), nil
	case asm.JSLE:
		return int64(a) <= int64(b), nil
	}
	return false, fmt.Errorf("unknown")
}
