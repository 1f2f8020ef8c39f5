package clock

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Boot is what bpf_ktime_get_boot_ns returns. This clock runs on while the host is suspended.
func Boot() time.Duration { return read(unix.CLOCK_BOOTTIME) - namespace().boot }

// Monotonic is what bpf_ktime_get_ns returns.
func Monotonic() time.Duration { return read(unix.CLOCK_MONOTONIC) - namespace().monotonic }

// Both reads the clock now and Boot at one moment. A process that waits between the two would make what
// depends on them end later than it should, so Both reads again if that took long. Boot comes first: after
// many attempts things end early, and not late.
func Both(now func() time.Time) (wall time.Time, boot time.Duration) {
	for range 100 {
		boot, wall = Boot(), now()
		if Boot()-boot < time.Millisecond {
			break
		}
	}
	return wall, boot
}

func read(clock int32) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		panic(os.NewSyscallError("clock_gettime", err)) // Linux has both clocks since 2.6.39
	}
	return time.Duration(now.Nano())
}

// offsets are how far the clocks of a time namespace are ahead of the kernel's.
type offsets struct{ monotonic, boot time.Duration }

// namespace are those of this process. They do not change: the kernel accepts no others once a process
// is in the namespace, and a process with threads can't enter another one.
var namespace = sync.OnceValue(func() offsets {
	text, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil { // the kernel has no time namespaces
		return offsets{}
	}
	return parse(string(text))
})

// parse reads /proc/PID/timens_offsets: lines of a clock, seconds and nanoseconds.
func parse(text string) (all offsets) {
	for line := range strings.Lines(text) {
		var clock string
		var seconds, nanoseconds int64
		if n, _ := fmt.Sscan(line, &clock, &seconds, &nanoseconds); n != 3 {
			continue
		}
		ahead := time.Duration(seconds)*time.Second + time.Duration(nanoseconds)
		switch clock {
		case "monotonic":
			all.monotonic = ahead
		case "boottime":
			all.boot = ahead
		}
	}
	return all
}
