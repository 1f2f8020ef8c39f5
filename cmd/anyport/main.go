// Command anyport serves whole IP prefixes on all 65,535 ports with one TCP and
// one UDP socket. `anyport help` says how.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit status.
func execute(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	began := false
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }

	cmd, err := root.ExecuteC()
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, prefixed(err))
	var usage usageError
	if began && !errors.As(err, &usage) {
		return exitFailed
	}
	fmt.Fprintf(stderr, "See %q.\n", cmd.CommandPath()+" --help")
	return exitUsage
}

// usageError is a fault of the command line itself. What cobra finds before a
// command has begun is one too.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// prefixed names the program once a line: a file may have many problems.
func prefixed(err error) string {
	text := strings.TrimRight(err.Error(), "\n")
	return "anyport: " + strings.ReplaceAll(text, "\n", "\nanyport: ")
}
