package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"anyport/steering/capabilities"
)

// environment is the variable that tells a new process on which file descriptor it reaches the old one.
const environment = "ANYPORT_HANDOVER"

// firstExtra is the number of the first of exec.Cmd's ExtraFiles.
const firstExtra = 3

// Successor is the new process, as the old one sees it. Its methods may be called by several
// goroutines.
type Successor struct {
	*Conn
	cmd   *exec.Cmd
	pidfd int
	said  *stderr       // nil: it has the stderr of this process
	ended chan struct{} // closed when it has ended
}

// Parent says whose child the new process becomes.
type Parent int

const (
	// Self: this process can wait for its end and its exit status. When this process ends, init
	// becomes the parent.
	Self Parent = iota

	// Manager: it becomes a child of this process's own parent (CLONE_PARENT). systemd, up to 257 at
	// least, looks at the parent once, when it receives MAINPID=. A main process that is not its child
	// then stays an alien (main_pid_alien): on stop, systemd does not wait for its end after SIGTERM
	// and sends SIGKILL at once.
	Manager
)

// Start starts binary, which finds this process by [Predecessor]. It runs in a session of its own, so
// that it outlives this process and its terminal, and with the capabilities that this process has
// now, never more.
//
// With capture its stderr is a pipe at first, so that the last line of it can be part of a reason. A process of this
// version takes the stderr of this process at once; one of an older version does not know of that, and would write
// to the pipe after the end of this process: see StderrTaken.
//
// The caller must Close it, and Kill it if it must not live on.
func Start(binary string, args []string, parent Parent, capture bool) (*Successor, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	conn, err := connOf(ours)
	if err != nil {
		return nil, err
	}
	s := &Successor{Conn: conn, cmd: exec.Command(binary, args...), pidfd: -1, ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = os.Stdout, os.Stderr
	s.cmd.Env = append(os.Environ(), environment+"="+strconv.Itoa(firstExtra))
	s.cmd.ExtraFiles = []*os.File{theirs}
	if capture {
		said, write, err := captureStderr()
		if err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		defer write.Close()
		s.said, s.cmd.Stderr = said, write
		s.cmd.ExtraFiles = append(s.cmd.ExtraFiles, os.Stderr)
		s.cmd.Env = append(s.cmd.Env, stderrEnvironment+"="+strconv.Itoa(firstExtra+1))
	}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, AmbientCaps: ambientCapabilities(), PidFD: &s.pidfd}
	if parent == Manager {
		s.cmd.SysProcAttr.Cloneflags = unix.CLONE_PARENT
	}
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the new binary: %w", err), conn.Close())
	}
	go s.reap() // ends with the new process, or with this one
	return s, nil
}

// reap closes ended when the new process has ended. Only a parent can wait(2); a pidfd can be polled by
// any process.
func (s *Successor) reap() {
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

// StderrTaken reports whether the successor has no pipe of this process as its stderr.
func (s *Successor) StderrTaken() bool { return s.said == nil || s.said.await() }

// Ended is closed when the successor has ended.
func (s *Successor) Ended() <-chan struct{} { return s.ended }

// PID is the process id of the successor.
func (s *Successor) PID() int { return s.cmd.Process.Pid }

// Wait returns how the successor ended, after the end of its stream has shown that it does. One that
// does not within a second is killed.
func (s *Successor) Wait() string {
	select {
	case <-s.ended:
	case <-time.After(time.Second):
	}
	how := s.Kill()
	if s.said == nil {
		return how
	}
	s.said.await() // for what is still in the pipe
	if line := s.said.lastLine(); line != "" {
		return how + ": " + line
	}
	return how
}

// killTimeout is how long a killed process may take to end. If a system call of it hangs, it does not
// end before that returns; it never runs again.
const killTimeout = 5 * time.Second

// Kill kills the successor if it has not ended, and returns how it ended.
func (s *Successor) Kill() string {
	_ = s.cmd.Process.Kill() // fails if it has ended
	select {
	case <-s.ended:
	case <-time.After(killTimeout):
		return "it is killed, and a system call of it hangs"
	}
	if s.cmd.ProcessState == nil {
		return "the service manager has its exit status, and the log what it said"
	}
	return s.cmd.ProcessState.String()
}

// Predecessor returns the stream to the process that this one replaces; nil if there is none. It must
// be called once, before other processes are started: they would inherit the descriptor.
func Predecessor() (*Conn, error) {
	if err := takeStderr(); err != nil {
		return nil, err
	}
	number, ok := os.LookupEnv(environment)
	if !ok {
		return nil, nil
	}
	if err := os.Unsetenv(environment); err != nil {
		return nil, err
	}
	fd, err := strconv.Atoi(number)
	if err != nil || fd < firstExtra {
		return nil, fmt.Errorf("%s=%q is not the number of a file descriptor: only `anyport upgrade` sets it", environment, number)
	}
	unix.CloseOnExec(fd)
	conn, err := connOf(os.NewFile(uintptr(fd), environment))
	if err != nil {
		return nil, fmt.Errorf("%s=%s: %w: only `anyport upgrade` sets it", environment, number, err)
	}
	return conn, nil
}

// socketPair makes the stream.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "successor"), os.NewFile(uintptr(fds[1]), "predecessor"), nil
}

// connOf makes a Conn of file, and closes file.
func connOf(file *os.File) (*Conn, error) {
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

// ambientCapabilities are those that the new process must be given: execve(2) keeps none for a
// user other than root unless they are in the ambient set.
func ambientCapabilities() (caps []uintptr) {
	if os.Geteuid() == 0 {
		return nil
	}
	held, err := capabilities.Read(0)
	if err != nil {
		return nil // the new process then says what it lacks
	}
	for _, n := range held.Permitted.Numbers() {
		caps = append(caps, uintptr(n))
	}
	return caps
}
