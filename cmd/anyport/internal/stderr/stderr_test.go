package stderr_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/stderr"
)

// role makes the test binary a process that panics.
const role = "ANYPORT_TEST_PANICS"

func TestMain(m *testing.M) {
	text := os.Getenv(role)
	if text == "" {
		os.Exit(m.Run())
	}
	log, err := stderr.Unblock()
	if err != nil {
		panic(err)
	}
	go log.WriteString(text) // ends with the process: nobody may read it
	time.Sleep(100 * time.Millisecond)
	go func() { panic("the panic") }()
	select {}
}

// panics starts the process that panics, with this stderr, to which it logs a text before.
func panics(t *testing.T, file *os.File, text string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), role+"="+text), file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// ends are the files that a stderr may be, and what reads from it.
func ends(t *testing.T) map[string][2]*os.File {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][2]*os.File{
		"pipe":   {reader, writer},
		"socket": {os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")},
	}
	for _, pair := range all {
		t.Cleanup(func() { pair[0].Close(); pair[1].Close() })
	}
	return all
}

// TestStack shows that a reader gets the log and the stack.
func TestStack(t *testing.T) {
	for name, pair := range ends(t) {
		cmd := panics(t, pair[1], "the log\n")
		pair[1].Close()
		var text strings.Builder
		for buffer := make([]byte, 4096); ; {
			n, err := pair[0].Read(buffer)
			text.Write(buffer[:n])
			if err != nil {
				break
			}
		}
		cmd.Wait()
		if got := text.String(); !strings.HasPrefix(got, "the log\npanic: the panic") || !strings.Contains(got, "goroutine ") {
			t.Errorf("%s: %q", name, got)
		}
		if got := cmd.ProcessState.ExitCode(); got != 2 {
			t.Errorf("%s: exit status %d", name, got)
		}
	}
}

// fill writes until there is no room.
func fill(t *testing.T, file *os.File) {
	t.Helper()
	fd := int(file.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := unix.Write(fd, make([]byte, 512)); err != nil {
			break
		}
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
}

// TestStuck has a reader that does not read, and a stderr that is full.
func TestStuck(t *testing.T) {
	for name, pair := range ends(t) {
		fill(t, pair[1])
		cmd := panics(t, pair[1], "the log\n")
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }() // ends with the process
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Errorf("%s: the process hangs", name)
			cmd.Process.Signal(syscall.SIGKILL)
			<-ended
		}
	}
}
