package systemd

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier sends messages to the manager. The zero value has no manager and sends nothing.
type Notifier struct{ socket string }

// FromEnvironment returns the Notifier of this process.
func FromEnvironment() Notifier { return Notifier{socket: os.Getenv("NOTIFY_SOCKET")} }

// Listens reports whether there is a manager.
func (n Notifier) Listens() bool { return n.socket != "" }

// Ready says that the process serves, with one line about it for people.
func (n Notifier) Ready(status string) error { return n.send(nil, "READY=1", "STATUS="+status) }

// Reloading says that the process is about to reload; Ready ends it. From the time the manager sees
// that the message does not answer an earlier order.
func (n Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return os.NewSyscallError("clock_gettime", err)
	}
	return n.send(nil, "RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000), "STATUS=reloading")
}

// Stopping says that the process is about to end, what it waits for, and for how long at most: the
// manager must not kill it before.
func (n Notifier) Stopping(status string, limit time.Duration) error {
	return n.send(nil, "STOPPING=1", "STATUS="+status, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", limit.Microseconds()))
}

// Alive feeds the watchdog of WatchdogSec=.
func (n Notifier) Alive() error { return n.send(nil, "WATCHDOG=1") }

// MainPID says that another process is the service from now on.
func (n Notifier) MainPID(pid int) error { return n.send(nil, fmt.Sprintf("MAINPID=%d", pid)) }

// Store makes the manager keep a copy of fd under a name; [Stored] returns it in the next process.
// Without FDPOLL=0 the manager would drop a socket that has an error.
func (n Notifier) Store(name string, fd int) error {
	return n.send([]int{fd}, "FDSTORE=1", "FDNAME="+name, "FDPOLL=0")
}

// Forget makes the manager close what it keeps under a name.
func (n Notifier) Forget(name string) error { return n.send(nil, "FDSTOREREMOVE=1", "FDNAME="+name) }

// send sends one datagram of NAME=value lines.
func (n Notifier) send(fds []int, lines ...string) error {
	if n.socket == "" {
		return nil
	}
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(socket)
	// The socket's queue may be full if the manager is busy or stuck: nothing here may wait long for it.
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return os.NewSyscallError("setsockopt SO_SNDTIMEO", err)
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	// A name that begins with @ is abstract, there as here.
	if err := unix.Sendmsg(socket, []byte(strings.Join(lines, "\n")), rights, &unix.SockaddrUnix{Name: n.socket}, 0); err != nil {
		return fmt.Errorf("tell the service manager: %w", os.NewSyscallError("sendmsg", err))
	}
	return nil
}
