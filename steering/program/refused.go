package program

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Why bpf(2) refuses what a process with all capabilities asks of it. All three are an
// EPERM or EACCES of the kernel.
var (
	// ErrVerifier: the verifier takes the program for unsafe. Without CAP_PERFMON it
	// asks for more, and each release for something else.
	ErrVerifier = errors.New("the kernel's verifier refuses the steering program")
	// ErrMemlock: before Linux 5.11 maps count against RLIMIT_MEMLOCK.
	ErrMemlock = errors.New("RLIMIT_MEMLOCK is too low for BPF maps, which count against it before Linux 5.11")
	// ErrForbidden: a user namespace, or a filter of system calls.
	ErrForbidden = errors.New("bpf(2) is forbidden here")
)

// liftMemlock raises RLIMIT_MEMLOCK as far as this process may. Whether that is enough
// shows when the maps are made.
func liftMemlock() {
	if rlimit.RemoveMemlock() == nil {
		return
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil {
		limit.Cur = limit.Max
		unix.Setrlimit(unix.RLIMIT_MEMLOCK, &limit)
	}
}

// classify puts before err which refusal it is.
func classify(err error) error {
	if why := refusal(err, memlockCounts()); why != nil {
		return fmt.Errorf("%w: %w", why, err)
	}
	return err
}

// Advise says which refusal err is, of loading the program and its maps, and what to do
// about it.
func Advise(err error) error { return remedy(refusal(err, memlockCounts()), err) }

// AdviseLink does so where the program is attached or detached: that takes no memory.
func AdviseLink(err error) error { return remedy(refusal(err, false), err) }

// remedy adds the words for one of the three reasons to err.
func remedy(why, err error) error {
	switch why {
	case nil:
		return err
	case ErrVerifier:
		return fmt.Errorf("%w: %w: run it as root or with CAP_PERFMON, boot another kernel, and report this with the output of uname -r", why, err)
	case ErrMemlock:
		return fmt.Errorf("%w: %w: LimitMEMLOCK=infinity in the systemd unit, or ulimit -l unlimited", why, err)
	default:
		return fmt.Errorf("%w: %w: CAP_BPF and CAP_NET_ADMIN must be those of the initial user namespace, and no seccomp filter forbid bpf(2)", why, err)
	}
}

// refusal tells which one err is; nil: none. memlock says that RLIMIT_MEMLOCK counts.
func refusal(err error, memlock bool) error {
	var verifier *ebpf.VerifierError
	switch {
	case errors.As(err, &verifier) && len(verifier.Log) > 0:
		return ErrVerifier
	case !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES):
		return nil
	case errors.Is(err, unix.EPERM) && memlock:
		return ErrMemlock
	}
	return ErrForbidden
}

// memlockCounts reports whether maps count against a limit that this process has.
func memlockCounts() bool {
	var limit unix.Rlimit
	return unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur != unix.RLIM_INFINITY && OlderThan(KernelRelease(), 5, 11)
}

// KernelRelease is what `uname -r` prints; "" where that is not known.
func KernelRelease() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// OlderThan compares a kernel's release, such as "5.10.0-32-amd64". Of one that it cannot
// read it says no.
func OlderThan(release string, major, minor int) bool {
	var a, b int
	n, _ := fmt.Sscanf(release, "%d.%d", &a, &b)
	return n == 2 && (a < major || a == major && b < minor)
}
