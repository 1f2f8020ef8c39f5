package dump

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
)

// format is how the keys and values of a map are shown.
type format struct{ key, value layout }

// layout is a type of C; nil: it is not known.
type layout struct{ btf.Type }

// formatOf trusts the types of this build only if their sizes are right: the map may be of another build.
func formatOf(m *ebpf.Map, spec *ebpf.MapSpec) (f format) {
	if spec == nil {
		return f
	}
	fits := func(t btf.Type, size uint32) layout {
		if t == nil {
			return layout{}
		}
		if n, err := btf.Sizeof(t); err != nil || uint32(n) != size {
			return layout{}
		}
		return layout{t}
	}
	return format{fits(spec.Key, m.KeySize()), fits(spec.Value, m.ValueSize())}
}

// decode shows bytes that the layout fits.
func (l layout) decode(data []byte) any {
	if l.Type == nil {
		return hex.EncodeToString(data)
	}
	return show("", l.Type, data)
}

// show shows a field. A name is needed to know an address from a number.
func show(name string, t btf.Type, data []byte) any {
	size, err := btf.Sizeof(t)
	if err != nil || size > len(data) {
		return hex.EncodeToString(data)
	}
	data = data[:size]
	if addr, ok := netip.AddrFromSlice(data); ok && isAddress[name] {
		return addr.Unmap().String()
	}
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		fields := map[string]any{}
		for _, m := range t.Members {
			if !strings.HasPrefix(m.Name, "pad") && m.BitfieldSize == 0 {
				fields[m.Name] = show(m.Name, m.Type, data[m.Offset.Bytes():])
			}
		}
		return fields
	case *btf.Enum:
		n := number(data)
		for _, v := range t.Values {
			if v.Value == n {
				return v.Name
			}
		}
		return n
	case *btf.Int:
		return number(data)
	}
	if text, _, _ := bytes.Cut(data, []byte{0}); isText(text) {
		return string(text)
	}
	return hex.EncodeToString(data)
}

// isAddress are the fields with an address in network byte order.
var isAddress = map[string]bool{"addr": true, "client": true, "dst": true}

// number reads an integer of this machine; other sizes than those of C are 0.
func number(data []byte) uint64 {
	switch len(data) {
	case 1:
		return uint64(data[0])
	case 2:
		return uint64(binary.NativeEndian.Uint16(data))
	case 4:
		return uint64(binary.NativeEndian.Uint32(data))
	case 8:
		return binary.NativeEndian.Uint64(data)
	}
	return 0
}

// isText reports whether bytes are a name of anyport.
func isText(data []byte) bool {
	return !bytes.ContainsFunc(data, func(c rune) bool { return c <= ' ' || c >= 0x7f })
}
