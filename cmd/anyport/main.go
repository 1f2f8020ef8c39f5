package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"anyport/cmd/anyport/internal/daemon"
	"anyport/cmd/anyport/internal/logging"
	"anyport/config"
	"anyport/proxy/logfile"
)

// The exit statuses. Scripts depend on them, so they do not change.
const (
	exitDone   = 0
	exitFailed = 1 // the reason is on stderr
	exitUsage  = 2 // nothing was done or asked

	exitChanges = 3 // reload --dry-run: a reload would change something; 0: nothing

	exitNotConfirmed = 3 // run --confirm has given everything back: a service manager should not start it again
)

func main() {
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit status. An error before the command began is
// wrong usage: cobra has found it in the flags or arguments.
func execute(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	out := &output{Writer: stdout}
	root.SetOut(out)
	root.SetErr(stderr)
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }

	cmd, err := root.ExecuteC()
	if err == nil {
		err = out.err
	}
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errChanges) { // an answer, not a failure
		return exitChanges
	}
	why := prefixed(err)
	if logging.JournalStream(stderr) {
		why = logging.WithPriority(slog.LevelError, why)
	}
	say(stderr, why)
	if errors.Is(err, daemon.ErrNotConfirmed) {
		return exitNotConfirmed
	}
	var usage usageError
	if began && !errors.As(err, &usage) {
		return exitFailed
	}
	fmt.Fprintf(stderr, "See %q.\n", cmd.CommandPath()+" --help")
	return exitUsage
}

// output is stdout. It keeps the first error, which most callers ignore: a script must not take half
// of an answer, on a disk that is full, for the whole.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("not all of the output is written: %w", err)
	}
	return n, err
}

// Fd lets package text ask whether stdout is a terminal.
func (o *output) Fd() uintptr {
	if file, ok := o.Writer.(*os.File); ok {
		return file.Fd()
	}
	return ^uintptr(0) // the kernel knows no such descriptor
}

// sayTimeout is for a stderr that nobody reads.
const sayTimeout = time.Second

// say prints a line and waits a second at most: a process that is done must not hang on a pipe that
// nobody reads.
func say(w io.Writer, line string) {
	said := make(chan struct{})
	go func() { // ended by the write, or with the process
		fmt.Fprintln(w, line)
		close(said)
	}()
	select {
	case <-said:
	case <-time.After(sayTimeout):
	}
}

// usageError is an error of the command line itself: exit status 2.
type usageError struct{ error }

// usagef is fmt.Errorf for wrong usage.
func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// prefixed puts the program's name before each problem: a file may have many. A line that begins with
// a blank belongs to the problem before it. Problems quote names that others have chosen.
func prefixed(err error) string {
	lines := strings.Split(strings.TrimRight(logfile.PrintableText(config.Detail(err)), "\n"), "\n")
	for i, line := range lines {
		if line != "" && line[0] != ' ' {
			lines[i] = "anyport: " + line
		}
	}
	return strings.Join(lines, "\n")
}
