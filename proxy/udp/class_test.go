package udp

import (
	"encoding/binary"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestParseClass(t *testing.T) {
	four := message(unix.SOL_IP, unix.IP_TOS, []byte{0xbb})
	six := message(unix.SOL_IPV6, unix.IPV6_TCLASS, binary.NativeEndian.AppendUint32(nil, 0xbb))
	for name, in := range map[string][]byte{
		"IPv4": append(origDst("192.0.2.1:53"), four...), "IPv6": append(six, origDst("[2001:db8::1]:53")...),
	} {
		if c, ok := parseControl(in); !ok || c.class != 0xbb {
			t.Errorf("%s: %+v, %v", name, c, ok)
		}
	}
	if c, ok := parseControl(append(message(unix.SOL_IP, unix.IP_TOS, nil), origDst("192.0.2.1:53")...)); !ok || c.class != 0 {
		t.Errorf("an empty one: %+v, %v", c, ok)
	}
}

// TestAncillary compares what goes with a message with control messages spelt one by one.
func TestAncillary(t *testing.T) {
	_, fl := began(t, to(originAddr), client1, dst1, 0)
	source := packetInfo(dst6.Addr())
	class := message(unix.SOL_IP, unix.IP_TOS, binary.NativeEndian.AppendUint32(nil, 3))
	size := message(unix.SOL_UDP, unix.UDP_SEGMENT, binary.NativeEndian.AppendUint16(nil, 100))
	for _, test := range []struct {
		name   string
		length int
		d      outgoing
		want   []byte
	}{
		{"nothing", 1, outgoing{}, nil},
		{"a class", 1, outgoing{class: 3}, class},
		{"a source", 1, outgoing{control: source}, source},
		{"a source and a class", 1, outgoing{control: source, class: 3}, append(slices.Clone(source), class...)},
		{"a train", 2, outgoing{}, size},
		{"a train with a class", 2, outgoing{class: 3}, append(slices.Clone(class), size...)},
	} {
		test.d.flow, test.d.payload = fl, make([]byte, 100)
		var m mail
		m.accompany(0, slices.Repeat([]outgoing{test.d}, test.length))
		got := m.messages[0]
		if n := int(got.Controllen); n != len(test.want) || n > 0 && !slices.Equal(unsafe.Slice(got.Control, n), test.want) {
			t.Errorf("%s: %d bytes, want % x", test.name, n, test.want)
		}
	}
}

// TestTrainsOfOneClass: datagrams of another class end a train.
func TestTrainsOfOneClass(t *testing.T) {
	_, fl := began(t, to(originAddr), client1, dst1, 0)
	var run []outgoing
	for _, class := range []uint8{0, 0, 2, 2, 2, 3, 0} {
		run = append(run, outgoing{flow: fl, payload: make([]byte, 100), class: class})
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
