package systemd

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstFD is SD_LISTEN_FDS_START.
const firstFD = 3

// Stored takes over the file descriptors that the manager hands to this process, by
// name, with close-on-exec set. It may be called once: the environment that tells of
// them is removed, lest a child take them for its own.
func Stored() map[string][]int {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, key := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		os.Unsetenv(key)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil
	}
	fds := stored(count, names)
	for _, list := range fds {
		for _, fd := range list {
			unix.CloseOnExec(fd)
		}
	}
	return fds
}

// stored numbers what the environment names. What has no name is not ours.
func stored(count, names string) map[string][]int {
	n, err := strconv.Atoi(count)
	if err != nil || n <= 0 {
		return nil
	}
	fds := map[string][]int{}
	for i, name := range strings.Split(names, ":") {
		if i < n && name != "" {
			fds[name] = append(fds[name], firstFD+i)
		}
	}
	return fds
}
