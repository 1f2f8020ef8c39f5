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

// ApplyHours tells the kernel which routes are in force at the time now, and until when. It has to be
// called when a schedule changes, and when the clock was set. If it is not, the kernel goes on by what
// it was told last: what was in force ends when it should, and nothing else begins. Replace does the
// same for the routes that it puts into service.
//
// It writes one word for each of these routes, instead of a table into the half that does not serve:
// a million prefixes take seconds. What ends has ended without it, and what begins is written after
// that, so no moment has both.
func (s *Steering) ApplyHours(now time.Time) error {
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
	s.validUntil = validUntil
	if err := s.half(s.generation).WriteHours(s.table, s.numbers); err != nil {
		s.validUntil = before
		return fmt.Errorf("write the hours of the routes: %w", err)
	}
	return nil
}

// kernelHours is bpfmaps.ValidUntil by the kernel's clock.
func kernelHours(cfg *config.Config, now time.Time) (map[string]uint64, error) {
	boot, err := bootTime()
	if err != nil {
		return nil, err
	}
	return bpfmaps.ValidUntil(cfg.Routes, now, boot), nil
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
