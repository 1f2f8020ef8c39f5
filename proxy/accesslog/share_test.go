package accesslog

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
)

// TestOfTwo has two logs append to one file, as the two processes of an upgrade do: no
// line ends in the middle of another.
func TestOfTwo(t *testing.T) {
	const lines = 2000
	first, path := open(t, "text", slog.New(slog.DiscardHandler))
	var second *Log
	err := first.Share(func(file *os.File) (err error) {
		second, err = Open(config.Log{Access: path, Format: "text"}, nil, again(t, file), slog.New(slog.DiscardHandler))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range lines {
		first.Record(record)
		second.Record(record)
	}
	closeLog(t, first)
	closeLog(t, second)
	got := read(t, path)
	if whole := strings.Count(got, textLine); whole != 2*lines || len(got) != 2*lines*len(textLine) {
		t.Errorf("%d whole lines in %d bytes, want %d", whole, len(got), 2*lines)
	}
}

// again opens file once more.
func again(t *testing.T, file *os.File) *os.File {
	t.Helper()
	copied, err := OpenFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

// TestReopenOfTheSame leaves a file alone that was not moved, which this process may
// not be able to open any more.
func TestReopenOfTheSame(t *testing.T) {
	var log bytes.Buffer
	a, path := open(t, "text", slog.New(slog.NewTextHandler(&log, nil)))
	var before *os.File
	if err := a.Share(func(file *os.File) error { before = file; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := a.Reopen(); err != nil {
		t.Fatal(err)
	}
	a.Record(record)
	waitFor(t, func() bool { return read(t, path) == textLine })
	if err := a.Share(func(file *os.File) error {
		if file != before {
			t.Error("the same file was opened again")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	closeLog(t, a)
	if log.Len() > 0 {
		t.Errorf("the log says %s", &log)
	}
}

// TestOfAStuckFile: a pipe that takes nothing holds up nobody who shares it. The line that
// waited is lost and counted.
func TestOfAStuckFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	full, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	reader := os.NewFile(uintptr(full), path)
	defer reader.Close()
	for err == nil {
		_, err = unix.Write(full, make([]byte, 4096))
	}
	a, err := Open(config.Log{Access: path, Format: "text"}, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a.Record(record)
	waitFor(t, func() bool { return queued(a) == 0 }) // the line waits for others
	if err := a.Share(func(*os.File) error { return nil }); err != nil || a.Lost() != 1 {
		t.Errorf("to share it: %v, and %d lines are lost, want 1", err, a.Lost())
	}
	go io.Copy(io.Discard, reader) // ended by the end of the file
	if err := a.Share(func(*os.File) error { return nil }); err != nil {
		t.Errorf("to share it when it takes lines again: %v", err)
	}
	closeLog(t, a)
}

// queued is how many records wait for the writer.
func queued(a *Log) int {
	a.queue.mu.Lock()
	defer a.queue.mu.Unlock()
	return len(a.queue.waiting)
}
