package steering

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/bpfmaps"
)

// ApplyHours tells the kernel which routes are in force by the clock now, and until when. It has to be
// called when a schedule changes, and when the clock was set. If it is not, the kernel goes on by what
// it was told last: what was in force ends when it should, and nothing else begins. Replace does the
// same for the routes that it puts into service.
//
// It writes one word for each of these routes, instead of a table into the half that does not serve:
// a million prefixes take seconds. What ends has ended without it, and what begins is written after
// that, so no moment has both. A lookup reads the word of one route once, so it never meets half of a
// change. The kernel copies the word with the rest of the binding, which stays the same, and does not
// promise to copy all eight bytes at once. No mixture of their bytes opens what is closed before and
// after: see [bpfmaps.ValidUntil].
func (s *Steering) ApplyHours(now func() time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	validUntil, err := kernelHours(s.config, now)
	if err != nil || len(validUntil) == 0 && len(s.validUntil) == 0 {
		return err
	}
	before := s.validUntil
	keepEqual(validUntil, before)
	s.validUntil = validUntil
	if err := s.half(s.generation).WriteHours(s.table, s.numbers); err != nil {
		s.validUntil = before
		return fmt.Errorf("write the hours of the routes: %w", err)
	}
	return s.fast.Raise() // of the flows that the kernel forwards, too, some have hours
}

// keepEqual has next say what before says where they differ by no more than two readings of the clocks do.
func keepEqual(next, before map[string]uint64) {
	const imprecision = uint64(10 * time.Millisecond)
	for name, until := range next {
		if was, ok := before[name]; ok && max(was, until)-min(was, until) < imprecision {
			next[name] = was
		}
	}
}

// kernelHours is bpfmaps.ValidUntil by the clock now and the kernel's.
func kernelHours(cfg *config.Config, now func() time.Time) (map[string]uint64, error) {
	wall, boot, err := bothClocks(now)
	if err != nil {
		return nil, err
	}
	return bpfmaps.ValidUntil(cfg.Routes, wall, boot), nil
}

// bothClocks reads the clock now and that of the kernel at one moment. A process that waits between the two
// would make windows end later than they should, so it reads again if that took long. The kernel's comes first:
// after many attempts windows end early, and not late.
func bothClocks(now func() time.Time) (wall time.Time, boot time.Duration, err error) {
	for range 100 {
		var after time.Duration
		if boot, err = bootTime(); err != nil {
			return wall, boot, err
		}
		wall = now()
		if after, err = bootTime(); err != nil || after-boot < time.Millisecond {
			break
		}
	}
	return wall, boot, err
}

// bootTime is what bpf_ktime_get_boot_ns returns. A process in a time namespace (since Linux 5.6) sees
// a clock of its own, and the program does not.
func bootTime() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, os.NewSyscallError("clock_gettime CLOCK_BOOTTIME", err)
	}
	offsets, err := os.ReadFile("/proc/self/timens_offsets")
	if err != nil { // no time namespaces
		offsets = nil
	}
	return time.Duration(now.Nano()) - bootOffset(string(offsets)), nil
}

// bootOffset reads /proc/PID/timens_offsets: lines of a clock, seconds and nanoseconds.
func bootOffset(text string) time.Duration {
	for line := range strings.Lines(text) {
		var clock string
		var seconds, nanoseconds int64
		if n, _ := fmt.Sscan(line, &clock, &seconds, &nanoseconds); n == 3 && clock == "boottime" {
			return time.Duration(seconds)*time.Second + time.Duration(nanoseconds)
		}
	}
	return 0
}
