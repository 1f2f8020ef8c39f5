package saved

import (
	"maps"
	"testing"

	"anyport/proxy"
)

// TestOthers: a process that still counts is known with the last value that it has saved, until it has ended.
func TestOthers(t *testing.T) {
	memory, live := &fakeMemory{make([]byte, 1<<16), -1}, proxy.CounterID{Key: "=live"}
	alive := map[int]bool{7: true, 8: true}
	open := func(pid int) *Book {
		t.Helper()
		book, _, err := Open(memory, pid, func(pid int) bool { return alive[pid] })
		if err != nil {
			t.Fatal(err)
		}
		return book
	}
	save := func(b *Book, n uint64, last bool) {
		t.Helper()
		if _, err := b.Save(func(yield func(proxy.CounterID, uint64)) { yield(live, n) }, nil, last); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(b *Book, want map[int]uint64) {
		t.Helper()
		b.Pull(func(id proxy.CounterID, n uint64) { t.Errorf("%v is added up", id) })
		if got := b.Others(live); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	old := open(7)
	save(old, 5, false)
	serves := open(8)
	save(serves, 2, false)
	expect(serves, map[int]uint64{7: 5})
	save(old, 3, false)
	expect(serves, map[int]uint64{7: 3})
	save(old, 0, false)
	expect(serves, map[int]uint64{})
	save(old, 1, false)
	expect(serves, map[int]uint64{7: 1})
	alive[7] = false
	expect(serves, map[int]uint64{})
}
