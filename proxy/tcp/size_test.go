package tcp

import (
	"testing"
	"unsafe"
)

// An idle conn is its struct, rounded up to the allocator's size class, a
// pointer in the loop's slots, and two fds.
func TestIdleConnIsSmall(t *testing.T) {
	const most = 320
	if size := unsafe.Sizeof(conn{}); size > most {
		t.Errorf("a conn is %d bytes, want at most %d", size, most)
	}
}
