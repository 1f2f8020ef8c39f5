package handover

import (
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// stderrEnvironment is the variable that tells a new process on which file descriptor it finds the stderr of the
// old one. Its own is a pipe until it has taken that.
const stderrEnvironment = "ANYPORT_HANDOVER_STDERR"

// stderr is what a new process says before it takes the stderr of the old one: the old one passes it on, and
// keeps the last line for the reason of a failure.
type stderr struct {
	ended chan struct{} // closed when nobody can write to the pipe any more

	mu   sync.Mutex
	tail []byte // the end of what was said
}

// tailSize bounds what is kept.
const tailSize = 4096

// captureStderr makes the pipe. The caller closes write once the new process has it.
func captureStderr() (s *stderr, write *os.File, err error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	s = &stderr{ended: make(chan struct{})}
	go func() { // ended by the new process, when it takes the other stderr or ends
		defer close(s.ended)
		defer read.Close()
		_, _ = io.Copy(io.MultiWriter(s, os.Stderr), read)
		_, _ = io.Copy(s, read) // if stderr takes nothing any more
	}()
	return s, write, nil
}

// Write keeps the end of what was said.
func (s *stderr) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tail = append(s.tail, b...)
	s.tail = s.tail[max(len(s.tail)-tailSize, 0):]
	return len(b), nil
}

// await waits for a second at most, and reports whether nobody can write any more.
func (s *stderr) await() bool {
	select {
	case <-s.ended:
		return true
	case <-time.After(time.Second):
		return false
	}
}

// lastLine is the last line that has something in it; "" if nothing was said.
func (s *stderr) lastLine() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(s.tail), "?")), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// takeStderr goes on with the stderr of the old process, if that has sent it.
func takeStderr() error {
	number, ok := os.LookupEnv(stderrEnvironment)
	if !ok {
		return nil
	}
	if err := os.Unsetenv(stderrEnvironment); err != nil {
		return err
	}
	fd, err := strconv.Atoi(number)
	if err != nil || fd < firstExtra {
		return nil // the pipe is as good
	}
	if err := unix.Dup3(fd, 2, 0); err != nil {
		return os.NewSyscallError("dup3", err)
	}
	return unix.Close(fd)
}
