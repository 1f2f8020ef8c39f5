package daemon

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"anyport/proxy/fdbudget"
	"anyport/proxy/udp"
)

// MostFiles bounds what is asked for: fs.nr_open's own default. Some containers
// allow a thousand million, and what is sized by the limit would be huge.
const MostFiles = 1 << 20

// FewFiles is where an operator should hear that the limit is low: each conn
// takes two, each flow one.
const FewFiles = 65536

// openFiles raises RLIMIT_NOFILE as far as it may go.
func (d *daemon) openFiles() (err error) {
	if d.files, err = raiseFiles(); err != nil {
		return err
	}
	if d.files < FewFiles {
		d.log.Warn("few file descriptors: each TCP conn takes two, each UDP flow one",
			"files", d.files, "hint", "raise LimitNOFILE= of the systemd unit, or ulimit -n")
	}
	if err := makeRoom(min(d.files, roomAtOnce)); err != nil {
		d.log.Warn("the table of file descriptors will grow while conns and flows wait for it", "error", err)
	}
	return nil
}

// roomAtOnce takes 2 MiB of the kernel's memory, and leaves two waits at most to a process
// with MostFiles.
const roomAtOnce = 1 << 18

// makeRoom has the kernel make this process's table of file descriptors as large as it may
// become. Else it doubles whenever it is full, and whoever opens a file then waits for a
// grace period of RCU, as always in a process with threads (expand_fdtable in fs/file.c):
// 10 to 30 ms in which a loop serves nobody, eight times in its first 10,000 flows.
func makeRoom(files uint64) error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open an eventfd: %w", err)
	}
	defer unix.Close(fd)
	last, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, int(files-1))
	if err != nil {
		return fmt.Errorf("open a file with the descriptor %d: %w", files-1, err)
	}
	return unix.Close(last)
}

// raiseFiles returns how many file descriptors this process may open now. Above
// the hard limit CAP_SYS_RESOURCE is needed.
func raiseFiles() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read RLIMIT_NOFILE: %w", err)
	}
	wanted := []unix.Rlimit{
		{Cur: MostFiles, Max: max(limit.Max, MostFiles)},
		{Cur: min(limit.Max, MostFiles), Max: limit.Max},
	}
	for _, want := range wanted {
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &want) == nil {
			return want.Cur, nil
		}
	}
	return limit.Cur, nil
}

// RoomFor is how many conns, or else how many flows, a process can hold that may open limit files.
func RoomFor(limit uint64) (conns, flows int) {
	b, err := fdbudget.Divide(int(min(limit, MostFiles)), usuallyOpen)
	if err != nil {
		return 0, 0
	}
	return (b.TCP + b.Common) / 2, b.Flows + b.Common
}

// divideFiles makes the budget of files, once all that the process holds for itself is open.
func (d *daemon) divideFiles() error {
	held := openNow()
	if d.before != nil { // whose flows count as flows
		held -= len(udp.Detach(d.before.flows.Flows))
	}
	budget, err := fdbudget.Divide(int(d.files), held+d.proxy.LoopFiles())
	if err == nil {
		d.proxy.LimitFiles(budget)
		d.clientSockets, d.clientFlows = udp.MostPerClient(d.maxFlows(), d.maxSockets())
	}
	return err
}

// usuallyOpen is for a process that may not look at its own files: one that cannot dump
// core (proc(5)). With three loops it holds some 80, and two more with each loop.
const usuallyOpen = 128

// openNow is the number of files that this process has open.
func openNow() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return usuallyOpen
	}
	return len(all) - 1 // the one to look with
}

// maxFlows is the bound on UDP flows of all routes.
func (d *daemon) maxFlows() int { return d.opt.Config.Listen.MaxFlows }

// maxSockets is the bound on those of them that have a socket of their own, as the files
// and the local ports allow.
func (d *daemon) maxSockets() int {
	budget := d.proxy.Budget()
	return min(d.maxFlows(), udp.MaxSockets(), budget.Flows+budget.Common)
}
