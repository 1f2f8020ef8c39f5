package interpreter

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// call is a call of a helper.
func (m *machine) call(helper asm.BuiltinFunc) (err error) {
	m.calls++
	switch helper {
	case asm.FnMapLookupElem:
		m.regs[asm.R0], err = m.lookUp(int(m.regs[asm.R1])-1, m.regs[asm.R2])
	case asm.FnKtimeGetNs, asm.FnKtimeGetBootNs:
		m.regs[asm.R0] = m.now
	case asm.FnMapUpdateElem, asm.FnRingbufOutput, asm.FnSpinLock, asm.FnSpinUnlock, asm.FnSkAssign, asm.FnSkRelease:
		m.regs[asm.R0] = 0
	default:
		err = fmt.Errorf("%v is not known here", helper)
	}
	return err
}

// lookUp returns a pointer to a copy of the value: of a map for each CPU, the first one's.
func (m *machine) lookUp(index int, at uint64) (uint64, error) {
	if index < 0 || index >= len(m.loaded) {
		return 0, fmt.Errorf("no map")
	}
	from := m.loaded[index]
	key, err := m.regions.bytes(at, int(from.KeySize()))
	if err != nil {
		return 0, err
	}
	value, err := read(from, key)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return 0, nil
	}
	return m.regions.add(value), err
}

func read(from *ebpf.Map, key []byte) ([]byte, error) {
	if from.Type() == ebpf.PerCPUArray {
		var all [][]byte
		if err := from.Lookup(key, &all); err != nil {
			return nil, err
		}
		return all[0], nil
	}
	var value []byte
	err := from.Lookup(key, &value)
	return value, err
}
