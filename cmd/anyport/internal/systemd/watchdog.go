package systemd

import (
	"os"
	"strconv"
	"time"
)

// Watchdog returns the time within which the manager wants to hear [Notifier.Alive], else it kills
// this process; 0: it does not.
//
// WATCHDOG_PID is removed from the environment, and with that of another process all the rest: a
// new process of an upgrade inherits WATCHDOG_USEC, and its pid is not known before it exists.
func Watchdog() time.Duration {
	pid, named := os.LookupEnv("WATCHDOG_PID")
	os.Unsetenv("WATCHDOG_PID")
	if named && pid != strconv.Itoa(os.Getpid()) {
		os.Unsetenv("WATCHDOG_USEC")
	}
	return interval(os.Getenv("WATCHDOG_USEC"))
}

// longest keeps an interval that time.Duration can count.
const longest = uint64(1<<63-1) / uint64(time.Microsecond)

// interval is 0, no watchdog, for what is not a number.
func interval(usec string) time.Duration {
	n, err := strconv.ParseUint(usec, 10, 64)
	if err != nil || n > longest {
		return 0
	}
	return time.Duration(n) * time.Microsecond
}
