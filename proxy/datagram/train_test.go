package datagram

import (
	"bytes"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"anyport/proxy/internal/proxytest"
)

// TestTrainLength: a train is of one flow and one direction, of datagrams of one size
// except the last, and within the kernel's bounds.
func TestTrainLength(t *testing.T) {
	a, b, otherDirection := &Path{}, &Path{}, &Path{}
	narrow := &Path{}
	narrow.RefuseTrains(50)
	of := func(p *Path, sizes ...int) (run []Outgoing) {
		for _, payload := range proxytest.Random(sizes...) {
			run = append(run, Outgoing{Path: p, Payload: payload})
		}
		return run
	}
	back := of(otherDirection, 100)
	headed := of(a, 60)
	headed[0].Header = make([]byte, 40)
	shared, elsewhere := append(of(a, 100), of(b, 100)...), append(of(a, 100), of(b, 100)...)
	shared[1].Shared, elsewhere[1].Shared, elsewhere[1].To.Port = true, true, 1
	raw := of(a, 100, 100)
	raw[0].Control = []byte{1}
	for _, test := range []struct {
		name string
		run  []Outgoing
		want int
	}{
		{"alone", of(a, 100), 1},
		{"equal", of(a, 100, 100, 100), 3},
		{"the last is shorter", of(a, 100, 100, 30), 3},
		{"one before the last is shorter", of(a, 100, 30, 100), 2},
		{"a longer one", of(a, 100, 101), 1},
		{"an empty one", of(a, 100, 0, 100), 1},
		{"empty ones", of(a, 0, 0), 1},
		{"another flow", append(of(a, 100), of(b, 100)...), 1},
		{"another flow of a shared socket", shared, 2},
		{"another flow of a shared socket, to another port", elsewhere, 1},
		{"the other direction", append(of(a, 100), back...), 1},
		{"a header makes up for it", append(headed, of(a, 100)...), 2},
		{"as many as the kernel takes", of(a, proxytest.Repeated(10, 2*maxSegments)...), maxSegments},
		{"as long as the kernel takes", of(a, proxytest.Repeated(1500, 50)...), MaxTrain / 1500},
		{"a path that takes no such train", of(narrow, 50, 50), 1},
		{"a path that takes such a train", of(narrow, 49, 49), 2},
		{"a raw socket", raw, 1},
	} {
		if got := trainLength(test.run); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// TestGather: the parts are the datagrams, and only as many as memory has gaps.
func TestGather(t *testing.T) {
	whole, header := proxytest.Random(300)[0], proxytest.Random(8)[0]
	var parts [8]unix.Iovec
	for _, test := range []struct {
		name string
		run  []Outgoing
		want int
	}{
		{"one after another", []Outgoing{{Payload: whole[:100]}, {Payload: whole[100:200]}, {Payload: whole[200:]}}, 1},
		{"a gap", []Outgoing{{Payload: whole[:100]}, {Payload: whole[101:200]}}, 2},
		{"backwards", []Outgoing{{Payload: whole[100:]}, {Payload: whole[:100]}}, 2},
		{"headers", []Outgoing{{Header: header, Payload: whole[:100]}, {Header: header, Payload: whole[100:]}}, 4},
		{"nothing", []Outgoing{{}}, 0},
	} {
		used := gather(parts[:], test.run)
		var want, got []byte
		for _, d := range test.run {
			want = append(append(want, d.Header...), d.Payload...)
		}
		for _, part := range parts[:used] {
			got = append(got, bytesOf(part)...)
		}
		if used != test.want || !bytes.Equal(got, want) {
			t.Errorf("%s: %d parts, want %d, with %d bytes that are the datagrams: %v", test.name, used, test.want, len(got), bytes.Equal(got, want))
		}
	}
}

func bytesOf(part unix.Iovec) []byte { return unsafe.Slice(part.Base, part.Len) }
