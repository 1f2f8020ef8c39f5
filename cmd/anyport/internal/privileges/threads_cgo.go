//go:build cgo

package privileges

import (
	"fmt"
	"os"
	"strconv"
)

// findsThreads returns an error where libpsx could not find the threads of this process. It looks for
// them in /proc/PID/task, and searches without end if /proc is that of another PID namespace, where the
// number is that of another process.
func findsThreads() error {
	own, err := os.Readlink("/proc/self")
	if err == nil && own != strconv.Itoa(os.Getpid()) {
		err = fmt.Errorf("/proc is of another PID namespace, where this process is %q", own)
	}
	if err != nil {
		return fmt.Errorf("find the threads of this process: %w: mount the /proc of its PID namespace (mount -t proc proc /proc), or build anyport with CGO_ENABLED=0", err)
	}
	return nil
}
