package load

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strings"
	"time"
)

// footprint is the memory of the proxy's processes, of the kernel, and the
// processes' open files.
type footprint struct{ rss, kernel, fds float64 }

// weigh takes a second or more: it waits for the kernel to come to rest.
func weigh(job Job) (f footprint, err error) {
	if f.kernel, err = restingObjects(); err != nil {
		return f, err
	}
	for _, pid := range job.Watch {
		f.rss += rss(pid)
		entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		f.fds += float64(len(entries))
	}
	return f, nil
}

// since puts what was added since an earlier weighing into a result.
func (f footprint) since(before footprint, r *Result) {
	r.RSS, r.Kernel, r.FDs = f.rss-before.rss, f.kernel-before.kernel, f.fds-before.fds
}

// rss is the resident memory of a process; 0 of one that has ended.
func rss(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	var size, resident float64
	fmt.Sscan(string(b), &size, &resident)
	return resident * float64(os.Getpagesize())
}

// restingObjects waits until kernelObjects stands still: the kernel frees what an
// earlier sample left in its own time.
func restingObjects() (float64, error) {
	const pause, tries, still = 200 * time.Millisecond, 15, 100 << 10
	last, err := kernelObjects()
	for range tries {
		time.Sleep(pause)
		var now float64
		if now, err = kernelObjects(); err != nil {
			return 0, err
		}
		moved := math.Abs(now - last)
		if last = now; moved < still {
			break
		}
	}
	return last, err
}

// kernelObjects is the size of all objects in slabs: sockets, files, pipes, conntrack
// entries. Whole slabs, as /proc/meminfo has them, would hide what moves into the
// holes that an earlier run left behind.
func kernelObjects() (float64, error) {
	file, err := os.Open("/proc/slabinfo")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var sum float64
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "slabinfo") || strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		var name string
		var active, all, size float64
		if _, err := fmt.Sscan(lines.Text(), &name, &active, &all, &size); err != nil {
			return 0, fmt.Errorf("/proc/slabinfo: %w", err)
		}
		sum += active * size
	}
	return sum, lines.Err()
}
