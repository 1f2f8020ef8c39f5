package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// reading is what the meters show at one moment, all in seconds of CPU.
type reading struct {
	at                              time.Time
	proxy, busy, users, ours, steal float64
}

// read reads the meters.
func read(job Job) (reading, error) {
	now := reading{at: time.Now()}
	if err := now.machine(); err != nil {
		return now, err
	}
	for _, pid := range job.Watch {
		used, err := processCPU(pid)
		if err != nil {
			return now, fmt.Errorf("the proxy has ended: %w", err)
		}
		now.proxy += used
		now.ours += userCPU(pid)
	}
	for _, pid := range append(job.Ours, os.Getpid()) {
		now.ours += userCPU(pid)
	}
	return now, nil
}

// since puts the difference to an earlier reading into a result.
func (now reading) since(before reading, r *Result) {
	r.Seconds = now.at.Sub(before.at).Seconds()
	r.ProxyCPU = now.proxy - before.proxy
	r.RigCPU = now.busy - before.busy
	r.Foreign = max(0, (now.users-before.users)-(now.ours-before.ours))
	r.Stolen = now.steal - before.steal
}

// tick is USER_HZ, the unit of /proc/stat on every architecture of Go.
const tick = 1.0 / 100

// machine reads the first line of /proc/stat: user nice system idle iowait irq
// softirq steal.
func (now *reading) machine() error {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var t [8]float64
	if _, err := fmt.Sscanf(line, "cpu %g %g %g %g %g %g %g %g", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]); err != nil {
		return fmt.Errorf("/proc/stat: %w", err)
	}
	now.users = (t[0] + t[1]) * tick
	now.busy = (t[0] + t[1] + t[2] + t[5] + t[6]) * tick
	now.steal = t[7] * tick
	return nil
}

// processCPU is what all threads of a process used, to the nanosecond: by the
// clock that clock_getcpuclockid(3) would name.
func processCPU(pid int) (float64, error) {
	const schedClock = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|schedClock), &t); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return float64(t.Nano()) / 1e9, nil
}

// userCPU is what a process used outside the kernel; 0 of one that has ended.
func userCPU(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	if len(fields) < 12 {
		return 0
	}
	ticks, _ := strconv.ParseFloat(fields[11], 64) // utime
	return ticks * tick
}

// withChildren adds to processes those that they started.
func withChildren(pids []int) []int {
	var all []int
	for _, pid := range pids {
		all = append(all, pid)
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		var children []int
		for _, field := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(field); err == nil {
				children = append(children, child)
			}
		}
		all = append(all, withChildren(children)...)
	}
	return all
}
