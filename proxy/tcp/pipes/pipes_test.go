package pipes

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestPipesAreUsedAgain(t *testing.T) {
	var p Pool
	defer p.CloseSpare()
	first := p.Borrow(0)
	if first == nil {
		t.Skip("the kernel gives no pipe of this size")
	}
	p.Return(first)
	if again := p.Borrow(0); again != first {
		t.Error("an empty pipe was not used again")
	}
	p.Return(first)
}

// Bytes left in a pipe are one client's; no other may ever read them.
func TestPipeWithBytesIsClosed(t *testing.T) {
	var p Pool
	defer p.CloseSpare()
	dirty := p.Borrow(0)
	if dirty == nil {
		t.Skip("the kernel gives no pipe of this size")
	}
	n, err := unix.Write(int(dirty.Write), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	dirty.Held = n
	p.Return(dirty)
	if len(p.spare) != 0 {
		t.Error("a pipe that holds bytes was kept")
	}
	if p.lent != 0 {
		t.Errorf("%d pipes are lent, want 0", p.lent)
	}
}

func TestPipesAreBounded(t *testing.T) {
	p := Pool{lent: Most}
	if p.Borrow(0) != nil {
		t.Error("one pipe more than the bound")
	}
}

func TestRefusedPipeIsNotAskedForAtOnce(t *testing.T) {
	p := Pool{barred: retryAfter}
	defer p.CloseSpare()
	if p.Borrow(retryAfter-1) != nil {
		t.Error("a pipe was made while the kernel is thought to refuse")
	}
	if again := p.Borrow(retryAfter); again != nil {
		p.Return(again)
	}
}
