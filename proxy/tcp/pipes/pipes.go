// Package pipes has the kernel's pipes that bulk is spliced through, past user space. A way of
// a conn borrows one while it carries bulk, and returns it empty.
//
// A pipe costs two file descriptors and up to 1 MiB of the kernel's memory, which the user's
// pipe-user-pages-soft bounds. So a loop has a bounded number of them, whose files are taken from
// its quota, and a way that gets none goes through the loop's buffer.
package pipes

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/quota"
)

const (
	// Large is the usual size. The larger the pipe, the fewer the turns: of 1 MiB, which is pipe-max-size,
	// each GB takes half the CPU of one of 256 KiB where the kernel paces (BBR), and
	// a tenth less where it does not. A stalled reader holds no more than that.
	Large = 1 << 20
	small = 256 << 10

	// Without CAP_SYS_RESOURCE, pipe-user-pages-soft (64 MiB) bounds the pipes of a
	// user: it is enough for the large ones of two loops, and many more small ones.
	largeMost = 16 // on loan in a loop; beyond that a way gets a small one
	spareMost = 16

	// Most is how many pipes a loop lends at once.
	Most = 128

	retryAfter = time.Second // after the kernel refused one
)

// Pipe is a pipe on loan. The way that borrowed it splices to Write and from Read, and keeps
// Held.
type Pipe struct {
	Read, Write int32 // fds
	Size        int   // bytes that it can hold
	Held        int   // bytes in it
}

// filesOfPipe is what a pipe takes from the quota.
const filesOfPipe = 2

// Pool lends pipes to the ways of one loop, which alone calls it. The zero value is ready, with
// no bound on files.
type Pool struct {
	Files *quota.Quota // what pipes are taken from; nil: no bound

	spare  []*Pipe
	lent   int
	barred time.Duration // no new pipe before this moment: asking in vain costs more than a copy
}

// Lent is the number of pipes on loan, and Spare that of those that wait for the next way.
func (p *Pool) Lent() int  { return p.lent }
func (p *Pool) Spare() int { return len(p.spare) }

// Borrow returns an empty pipe, or nil where the bound or the kernel allows no more.
func (p *Pool) Borrow(now time.Duration) *Pipe {
	if p.lent >= Most {
		return nil
	}
	if last := len(p.spare) - 1; last >= 0 {
		lent := p.spare[last]
		p.spare = p.spare[:last]
		p.lent++
		return lent
	}
	if now < p.barred {
		return nil
	}
	var made *Pipe
	if p.lent < largeMost {
		made = p.openPipe(Large)
	}
	if made == nil {
		made = p.openPipe(small)
	}
	if made == nil {
		p.barred = now + retryAfter
		return nil
	}
	p.lent++
	return made
}

// openPipe makes a pipe where the files and the kernel allow one.
func (p *Pool) openPipe(size int) *Pipe {
	if !p.Files.Take(filesOfPipe) {
		return nil
	}
	made := newPipe(size)
	if made == nil {
		p.Files.Give(filesOfPipe)
	}
	return made
}

// newPipe returns nil when the kernel has no fds or no pages for it. Beyond the
// soft limit pipe(2) still gives one, of two pages, that must not grow: slower
// than a buffer.
func newPipe(size int) *Pipe {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil
	}
	made := &Pipe{Read: int32(ends[0]), Write: int32(ends[1]), Size: size}
	if _, err := unix.FcntlInt(uintptr(made.Write), unix.F_SETPIPE_SZ, size); err != nil {
		made.closeEnds()
		return nil
	}
	return made
}

// Return ends a loan. A pipe that still holds bytes of one conn must never
// reach another.
func (p *Pool) Return(lent *Pipe) {
	p.lent--
	if lent.Held > 0 || len(p.spare) >= spareMost {
		p.discard(lent)
		return
	}
	p.spare = append(p.spare, lent)
}

func (p *Pipe) closeEnds() {
	call.Close(int(p.Read))
	call.Close(int(p.Write))
}

// Adopt counts a pipe of another process as lent. Its files are taken in any case, for they are
// open.
func (p *Pool) Adopt(read, write, held int) *Pipe {
	p.lent++
	p.Files.Insist(filesOfPipe)
	return &Pipe{Read: int32(read), Write: int32(write), Held: held}
}

// Measure asks the kernel for the size of an adopted pipe.
func (p *Pipe) Measure() (err error) {
	p.Size, err = unix.FcntlInt(uintptr(p.Write), unix.F_GETPIPE_SZ, 0)
	return err
}

// CloseSpare closes the pipes that nobody has borrowed: at the loop's end, and where conns need
// the files more.
func (p *Pool) CloseSpare() {
	for _, spare := range p.spare {
		p.discard(spare)
	}
	p.spare = nil
}

func (p *Pool) discard(one *Pipe) {
	one.closeEnds()
	p.Files.Give(filesOfPipe)
}
