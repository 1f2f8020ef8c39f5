package systemd

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstFD is SD_LISTEN_FDS_START.
const firstFD = 3

// mostFDs bounds what the environment makes us believe.
const mostFDs = 1 << 16

// Stored takes over the file descriptors that the manager hands to this process, by name, with
// close-on-exec set; of several with one name, the last. It may be called once: it removes the
// variables that describe them, so that a child does not take them for its own.
func Stored() map[string]int {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, key := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		os.Unsetenv(key)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil
	}
	fds, others := stored(count, names)
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	for _, fd := range others {
		unix.Close(fd)
	}
	return fds
}

// stored numbers the descriptors that the variables name. The others have no name, or share one.
func stored(count, names string) (fds map[string]int, others []int) {
	n, err := strconv.Atoi(count)
	if err != nil || n <= 0 {
		return nil, nil
	}
	named := strings.Split(names, ":")
	fds = map[string]int{}
	for i := min(n, mostFDs) - 1; i >= 0; i-- {
		name := ""
		if i < len(named) {
			name = named[i]
		}
		if _, twice := fds[name]; twice || name == "" {
			others = append(others, firstFD+i)
			continue
		}
		fds[name] = firstFD + i
	}
	return fds, others
}
