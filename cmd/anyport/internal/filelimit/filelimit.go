package filelimit

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"anyport/proxy/fdbudget"
)

const (
	// Most bounds what is asked for: fs.nr_open's own default. Some containers allow a thousand
	// million, and what is sized by the limit would be huge.
	Most = 1 << 20

	// Few is where an operator should hear that the limit is low: each conn takes two, each flow one.
	Few = 65536

	// Preallocated bounds what [Preallocate] should be asked for. It takes 2 MiB of the kernel's
	// memory, and leaves at most two waits to a process with Most.
	Preallocated = 1 << 18
)

// usuallyOpen is for a process that may not look at its own files: one that cannot dump core
// (proc(5)). With three loops it holds some 80, and two more with each loop.
const usuallyOpen = 128

// Raise returns how many file descriptors this process may open after raising the limit as far as it
// goes. Above the hard limit CAP_SYS_RESOURCE is needed.
func Raise() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read RLIMIT_NOFILE: %w", err)
	}
	wanted := []unix.Rlimit{
		{Cur: Most, Max: max(limit.Max, Most)},
		{Cur: min(limit.Max, Most), Max: limit.Max},
	}
	for _, want := range wanted {
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &want) == nil {
			return want.Cur, nil
		}
	}
	return limit.Cur, nil
}

// Current is RLIMIT_NOFILE as it is now, at most Most. Others can change it by prlimit(2).
func Current() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0 // it never fails
	}
	return int(min(limit.Cur, Most))
}

// Preallocate makes the kernel grow this process's table of file descriptors at once to what it may
// become. Otherwise the table doubles whenever it is full, and in a process with threads every
// opener of a file then waits for a grace period of RCU (expand_fdtable in fs/file.c): 10 to 30 ms
// in which a loop serves nobody, eight times in its first 10,000 flows.
func Preallocate(files uint64) error {
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

// Open is the number of file descriptors that this process has open.
func Open() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return usuallyOpen
	}
	return len(all) - 1 // without the one that reads the directory
}

// Capacity is how many conns, or else how many flows, a process can hold that may open limit files.
func Capacity(limit uint64) (conns, flows int) {
	b, err := fdbudget.Divide(int(min(limit, Most)), usuallyOpen)
	if err != nil {
		return 0, 0
	}
	return (b.TCP + b.Common) / 2, b.Flows + b.Common
}
