package handover

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// variable tells a new process on which file descriptor the old one talks to it.
const variable = "ANYPORT_HANDOVER"

// firstExtra is the number of the first of exec.Cmd's ExtraFiles.
const firstExtra = 3

// Successor is the new process, as the old one sees it.
type Successor struct {
	*Conn
	cmd   *exec.Cmd
	pidfd int
	ended chan struct{} // closed when it has ended
}

// Parent says whose child the new process becomes.
type Parent int

const (
	// Self: its end can be waited for, with its exit status. When this process ends, the
	// new one goes to init.
	Self Parent = iota

	// Manager: it becomes a child of this process's own parent. systemd, up to 257 at least, looks
	// at the parent once, when it hears MAINPID=. A main process that is not its child then is an alien
	// for good (main_pid_alien): when it is stopped, systemd does not wait for its end after SIGTERM, and
	// sends SIGKILL at once.
	Manager
)

// Start starts binary, which finds this process by [Predecessor]. It runs in a
// session of its own, so that the end of this process or of its terminal is not
// its end, and with the capabilities that this process has now, never more.
//
// Who starts it owes a Close, and where it shall not live on, a Kill.
func Start(binary string, args []string, parent Parent) (*Successor, error) {
	ours, theirs, err := pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	conn, err := wrap(ours)
	if err != nil {
		return nil, err
	}
	s := &Successor{Conn: conn, cmd: exec.Command(binary, args...), pidfd: -1, ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = os.Stdout, os.Stderr
	s.cmd.Env = append(os.Environ(), variable+"="+strconv.Itoa(firstExtra))
	s.cmd.ExtraFiles = []*os.File{theirs}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, AmbientCaps: ambient(), PidFD: &s.pidfd}
	if parent == Manager {
		s.cmd.SysProcAttr.Cloneflags = unix.CLONE_PARENT
	}
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the new binary: %w", err), conn.Close())
	}
	go s.await() // ends with the new process, or with this one
	return s, nil
}

// await closes ended when the new process has ended. wait(2) is for a parent alone, a
// pidfd can be read by anybody.
func (s *Successor) await() {
	defer close(s.ended)
	defer unix.Close(s.pidfd)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(s.pidfd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			break
		}
	}
	_ = s.cmd.Wait() // the manager does that, where the new process is its child
}

// PID is the process id of the successor.
func (s *Successor) PID() int { return s.cmd.Process.Pid }

// Wait returns how the successor ended, once it has closed its end of the stream by
// that. One that has not is ended.
func (s *Successor) Wait() string {
	select {
	case <-s.ended:
	case <-time.After(time.Second):
	}
	return s.Kill()
}

// killPatience is how long a killed process may take to end, which cannot where a system call of it
// hangs. It never runs again.
const killPatience = 5 * time.Second

// Kill ends the successor, if it has not ended by itself, and returns how it ended.
func (s *Successor) Kill() string {
	_ = s.cmd.Process.Kill() // fails where it has ended
	select {
	case <-s.ended:
	case <-time.After(killPatience):
		return "it is killed, and a system call of it hangs"
	}
	if s.cmd.ProcessState == nil {
		return "the service manager has its exit status, and the log what it said"
	}
	return s.cmd.ProcessState.String()
}

// Predecessor returns the stream to the process that this one shall take the place
// of, and nil where there is none. It must be called once, before other processes
// are started.
func Predecessor() (*Conn, error) {
	number, ok := os.LookupEnv(variable)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(variable); err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(number)
	if err != nil || fd < firstExtra {
		return nil, fmt.Errorf("%s=%q is not the number of a file descriptor: it is set by `anyport upgrade` alone", variable, number)
	}
	unix.CloseOnExec(fd)
	conn, err := wrap(os.NewFile(uintptr(fd), variable))
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w: it is set by `anyport upgrade` alone", variable, number, err)
	}
	return conn, nil
}

// pair makes the stream.
func pair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "successor"), os.NewFile(uintptr(fds[1]), "predecessor"), nil
}

// wrap makes a Conn of file, and closes file.
func wrap(file *os.File) (*Conn, error) {
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	stream, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, errors.New("not a unix socket")
	}
	return &Conn{stream}, nil
}

// ambient are the capabilities that the new process must be given: execve(2) keeps
// none for a user other than root, unless they are in the ambient set.
func ambient() (caps []uintptr) {
	if os.Geteuid() == 0 {
		return nil
	}
	for set := permitted(); set != 0; set &= set - 1 {
		caps = append(caps, uintptr(bits.TrailingZeros64(set)))
	}
	return caps
}

// permitted are the capabilities of this process, a bit each.
func permitted() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapPrm:"); ok {
			set, _ := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
			return set
		}
	}
	return 0
}
