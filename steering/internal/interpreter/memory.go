package interpreter

import (
	"encoding/binary"
	"fmt"
)

// memory has the regions to which a program has pointers. A pointer is the number of a region,
// from one on, in its upper half, and an offset in the lower one.
type memory [][]byte

func (m *memory) add(region []byte) (pointer uint64) {
	*m = append(*m, region)
	return uint64(len(*m)) << 32
}

// bytes returns n of them; a pointer that points to none is a fault of the interpreter, for the
// verifier has let the program pass.
func (m memory) bytes(pointer uint64, n int) ([]byte, error) {
	region, offset := int(pointer>>32)-1, int(uint32(pointer))
	if region < 0 || region >= len(m) || offset+n > len(m[region]) {
		return nil, fmt.Errorf("%#x is not a pointer to %d bytes", pointer, n)
	}
	return m[region][offset : offset+n], nil
}

func (m memory) load(pointer uint64, n int) (uint64, error) {
	var all [8]byte
	some, err := m.bytes(pointer, n)
	copy(all[:], some)
	return binary.LittleEndian.Uint64(all[:]), err
}

func (m memory) store(pointer uint64, n int, value uint64) error {
	some, err := m.bytes(pointer, n)
	copy(some, binary.LittleEndian.AppendUint64(nil, value))
	return err
}
