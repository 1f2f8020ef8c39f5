package tcp

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestPipesAreUsedAgain(t *testing.T) {
	var p pipes
	defer p.close()
	first := p.borrow(0)
	if first == nil {
		t.Skip("the kernel gives no pipe of this size")
	}
	p.giveBack(first)
	if again := p.borrow(0); again != first {
		t.Error("an empty pipe was not used again")
	}
	p.giveBack(first)
}

// Bytes left in a pipe are one client's; no other may ever read them.
func TestPipeWithBytesIsClosed(t *testing.T) {
	var p pipes
	defer p.close()
	dirty := p.borrow(0)
	if dirty == nil {
		t.Skip("the kernel gives no pipe of this size")
	}
	n, err := unix.Write(int(dirty.write), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	dirty.holds = n
	p.giveBack(dirty)
	if len(p.spare) != 0 {
		t.Error("a pipe that holds bytes was kept")
	}
	if p.lent != 0 {
		t.Errorf("%d pipes are lent, want 0", p.lent)
	}
}

func TestPipesAreBounded(t *testing.T) {
	p := pipes{lent: pipesMost}
	if p.borrow(0) != nil {
		t.Error("one pipe more than the bound")
	}
}

func TestRefusedPipeIsNotAskedForAtOnce(t *testing.T) {
	p := pipes{barred: pipeRetry}
	defer p.close()
	if p.borrow(pipeRetry-1) != nil {
		t.Error("a pipe was made while the kernel is thought to refuse")
	}
	if again := p.borrow(pipeRetry); again != nil {
		p.giveBack(again)
	}
}
