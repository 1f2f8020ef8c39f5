package logfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const patience = 20 * time.Second

func tell(lost uint64) []byte { return fmt.Appendf(nil, "%d lost\n", lost) }

func newPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		reader.Close()
		writer.Close()
	})
	return reader, writer
}

// TestStuck writes four times what the queue holds into a pipe that nobody reads, which takes no
// time, and then reads: what is not there was counted in a line.
func TestStuck(t *testing.T) {
	reader, writer := newPipe(t)
	q := NewQueue(writer, tell)
	line := []byte(strings.Repeat("x", 1023) + "\n")
	const total = 4 * queueSize / 1024
	for range total {
		_, _ = q.Write(line)
	}
	if q.Lost() == 0 {
		t.Error("nothing is lost")
	}
	got := make(chan []byte)
	go func() { // ended by the end of the pipe
		text, _ := io.ReadAll(reader)
		got <- text
	}()
	q.Close(patience)
	writer.Close()
	text := <-got
	if whole := uint64(bytes.Count(text, line)); whole+q.Lost() != total {
		t.Errorf("%d lines were read and %d lost, of %d", whole, q.Lost(), total)
	}
	if !bytes.HasSuffix(text, tell(q.Lost())) {
		t.Errorf("the last line does not tell that %d were lost", q.Lost())
	}
}

// TestStuckForEver closes while nobody reads.
func TestStuckForEver(t *testing.T) {
	_, writer := newPipe(t)
	q := NewQueue(writer, tell)
	_, _ = q.Write(bytes.Repeat([]byte("x\n"), queueSize/2))
	q.Close(10 * time.Millisecond) // hangs without a limit
}

// changing is a pipe whose other end comes late.
type changing struct{ out atomic.Pointer[os.File] }

func (c *changing) Write(b []byte) (int, error) {
	if out := c.out.Load(); out != nil {
		return out.Write(b)
	}
	return 0, syscall.EPIPE
}

// TestGone writes while nobody can read, and then again where somebody can, without another line.
func TestGone(t *testing.T) {
	file := &changing{}
	reader, writer := newPipe(t)
	q := NewQueue(file, tell)
	defer q.Close(patience)
	_, _ = q.Write([]byte("one\ntwo\n"))
	for begun := time.Now(); q.Lost() != 2; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("%d lines are lost, want 2", q.Lost())
		}
	}
	file.out.Store(writer)
	text := make([]byte, 100)
	_ = reader.SetReadDeadline(time.Now().Add(patience))
	n, err := reader.Read(text)
	if string(text[:n]) != "2 lost\n" {
		t.Errorf("read %q, %v", text[:n], err)
	}
}
