package datagram

import (
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestParseTOS(t *testing.T) {
	four := message(unix.SOL_IP, unix.IP_TOS, []byte{0xbb})
	six := message(unix.SOL_IPV6, unix.IPV6_TCLASS, binary.NativeEndian.AppendUint32(nil, 0xbb))
	for name, in := range map[string][]byte{
		"IPv4": append(origDst("192.0.2.1:53"), four...), "IPv6": append(six, origDst("[2001:db8::1]:53")...),
	} {
		if c, ok := parseControl(in); !ok || c.TOS != 0xbb {
			t.Errorf("%s: %+v, %v", name, c, ok)
		}
	}
	if c, ok := parseControl(append(message(unix.SOL_IP, unix.IP_TOS, nil), origDst("192.0.2.1:53")...)); !ok || c.TOS != 0 {
		t.Errorf("an empty one: %+v, %v", c, ok)
	}
}

// TestControlMessages compares what goes with a message with control messages written one by one.
func TestControlMessages(t *testing.T) {
	source := SourceControl(dst6.Addr())
	tos := message(unix.SOL_IP, unix.IP_TOS, binary.NativeEndian.AppendUint32(nil, 3))
	size := message(unix.SOL_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, 100))
	for _, test := range []struct {
		name   string
		length int
		d      Outgoing
		want   []byte
	}{
		{"nothing", 1, Outgoing{}, nil},
		{"a TOS", 1, Outgoing{TOS: 3}, tos},
		{"a source", 1, Outgoing{Control: source}, source},
		{"a source and a TOS", 1, Outgoing{Control: source, TOS: 3}, append(slices.Clone(source), tos...)},
		{"a train", 2, Outgoing{}, size},
		{"a train with a TOS", 2, Outgoing{TOS: 3}, append(slices.Clone(tos), size...)},
	} {
		test.d.Path, test.d.Payload = &Path{}, make([]byte, 100)
		var b SendBatch
		b.setControl(0, slices.Repeat([]Outgoing{test.d}, test.length))
		got := b.messages[0]
		if n := int(got.Controllen); n != len(test.want) || n > 0 && !slices.Equal(unsafe.Slice(got.Control, n), test.want) {
			t.Errorf("%s: %d bytes, want % x", test.name, n, test.want)
		}
	}
}

// TestTrainsOfOneTOS: a datagram with another TOS ends a train.
func TestTrainsOfOneTOS(t *testing.T) {
	path := &Path{}
	var run []Outgoing
	for _, tos := range []uint8{0, 0, 2, 2, 2, 3, 0} {
		run = append(run, Outgoing{Path: path, Payload: make([]byte, 100), TOS: tos})
	}
	var got []int
	for rest := run; len(rest) > 0; {
		n := trainLength(rest)
		got, rest = append(got, n), rest[n:]
	}
	if want := []int{2, 3, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("trains of %v, want %v", got, want)
	}
}
