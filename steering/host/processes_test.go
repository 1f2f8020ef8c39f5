package host

import (
	"bytes"
	"os"
	"testing"
)

// TestProcessName: a terminal obeys nothing in the name of a process.
func TestProcessName(t *testing.T) {
	const path = "/proc/self/comm" // of the process, which is the name of its first thread
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(path, bytes.TrimSuffix(before, []byte("\n")), 0) })
	if err := os.WriteFile(path, []byte("a\x1b[2J\u009bé\r b"), 0); err != nil {
		t.Fatal(err)
	}
	if got := ProcessName(os.Getpid()); got != "a?[2J?é? b" {
		t.Errorf("%q", got)
	}
}
