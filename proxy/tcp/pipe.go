package tcp

import (
	"time"

	"golang.org/x/sys/unix"

	"anyport/proxy/call"
	"anyport/proxy/quota"
)

const (
	// The larger the pipe, the fewer the turns: of 1 MiB, which is pipe-max-size,
	// each GB takes half the CPU of one of 256 KiB where the kernel paces (BBR), and
	// a tenth less where it does not. A stalled reader holds no more than that.
	largePipe = 1 << 20
	smallPipe = 256 << 10

	// Without CAP_SYS_RESOURCE, pipe-user-pages-soft (64 MiB) bounds the pipes of a
	// user: it is enough for the large ones of two loops, and many more small ones.
	largeMost = 16  // lent by a loop; who comes later gets a small one
	pipesMost = 128 // a loop's, in use and spare
	pipesKept = 16  // spare

	pipeRetry = time.Second // after the kernel refused one
)

// pipe carries bulk past user space.
type pipe struct {
	read, write int32
	size, holds int
}

// pipeFiles is what a pipe takes.
const pipeFiles = 2

// pipes lends pipes to the ways of one loop.
type pipes struct {
	files  *quota.Quota
	spare  []*pipe
	lent   int
	barred time.Duration // no new one before this moment: asking in vain costs more than a copy
}

// borrow returns an empty pipe, or nil where the bound or the kernel allows no more.
func (p *pipes) borrow(now time.Duration) *pipe {
	if p.lent >= pipesMost {
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
	var made *pipe
	if p.lent < largeMost {
		made = p.open(largePipe)
	}
	if made == nil {
		made = p.open(smallPipe)
	}
	if made == nil {
		p.barred = now + pipeRetry
		return nil
	}
	p.lent++
	return made
}

// open makes a pipe where the files and the kernel allow one.
func (p *pipes) open(size int) *pipe {
	if !p.files.Take(pipeFiles) {
		return nil
	}
	made := newPipe(size)
	if made == nil {
		p.files.Give(pipeFiles)
	}
	return made
}

// newPipe returns nil when the kernel has no fds or no pages for it. Beyond the
// soft limit pipe(2) still gives one, of two pages, that must not grow: slower
// than a buffer.
func newPipe(size int) *pipe {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil
	}
	made := &pipe{read: int32(ends[0]), write: int32(ends[1]), size: size}
	if _, err := unix.FcntlInt(uintptr(made.write), unix.F_SETPIPE_SZ, size); err != nil {
		made.close()
		return nil
	}
	return made
}

// giveBack ends a loan. A pipe that still holds bytes of one conn must never
// reach another.
func (p *pipes) giveBack(lent *pipe) {
	p.lent--
	if lent.holds > 0 || len(p.spare) >= pipesKept {
		p.shut(lent)
		return
	}
	p.spare = append(p.spare, lent)
}

func (p *pipe) close() {
	call.Close(int(p.read))
	call.Close(int(p.write))
}

// close closes the spare ones.
func (p *pipes) close() {
	for _, spare := range p.spare {
		p.shut(spare)
	}
	p.spare = nil
}

func (p *pipes) shut(one *pipe) {
	one.close()
	p.files.Give(pipeFiles)
}
