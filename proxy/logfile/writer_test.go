package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// narrow takes what it has room for, as a disk does that is nearly full, or a pipe that does
// not block.
type narrow struct {
	room int
	got  bytes.Buffer
}

var errFull = errors.New("full")

func (n *narrow) Write(b []byte) (int, error) {
	if len(b) <= n.room {
		n.room -= len(b)
		return n.got.Write(b)
	}
	took, _ := n.got.Write(b[:n.room])
	n.room = 0
	return took, errFull
}

// TestRandom gives a file room now and then: a line is there as it was written, or counted.
func TestRandom(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 0))
		file, written, lost := &narrow{}, map[string]bool{}, uint64(0)
		w := NewWriter(file)
		for n := range 200 {
			line := fmt.Sprintf("%d %s", n, strings.Repeat("x", random.IntN(900)))
			written[line] = true
			_, _ = w.Write([]byte(line + "\n"))
			if random.IntN(3) == 0 {
				file.room = max(file.room, random.IntN(5000))
			}
			if random.IntN(4) == 0 {
				_ = w.Flush()
				lost += w.Lost()
			}
		}
		_ = w.Flush()
		w.Reset(nil)
		lost += w.Lost()
		whole := strings.SplitAfter(file.got.String(), "\n")
		whole = whole[:len(whole)-1] // what is behind the last line is "", or a part of a line that is lost
		for _, line := range whole {
			if !written[strings.TrimSuffix(line, "\n")] {
				t.Fatalf("seed %d: the file has a line %q that nobody wrote", seed, line)
			}
		}
		if got := uint64(len(whole)) + lost; got != 200 {
			t.Fatalf("seed %d: %d lines are in the file and %d lost, of 200", seed, len(whole), lost)
		}
	}
}

// TestFinish shows that a line which a pipe has taken in part goes on where it stopped.
func TestFinish(t *testing.T) {
	file := &narrow{room: 6}
	w := NewWriter(file)
	_, _ = w.Write([]byte("one\ntwo\nthree\n"))
	if err := w.Flush(); err != errFull {
		t.Errorf("flush: %v", err)
	}
	file.room = 100
	_, _ = w.Write([]byte("four\n"))
	if err := w.Flush(); err != nil {
		t.Errorf("flush: %v", err)
	}
	if got, lost := file.got.String(), w.Lost(); got != "one\ntwo\nfour\n" || lost != 1 {
		t.Errorf("the file has %q, and %d lines are lost", got, lost)
	}
}

// TestTakeBack cuts off a part of a line, unless another process has written behind it.
func TestTakeBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	other, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, step := range []struct {
		ours, theirs, want string
	}{
		{"one\ntw", "", "one\n"},
		{"two\nth", "four\n", "one\ntwo\nthfour\n"},
	} {
		_, _ = file.WriteString(step.ours)
		_, _ = other.WriteString(step.theirs)
		if err := takeBack(file, 2); (err == nil) != (step.theirs == "") {
			t.Errorf("take back: %v", err)
		}
		if got, _ := os.ReadFile(path); string(got) != step.want {
			t.Errorf("the file has %q, want %q", got, step.want)
		}
	}
}
