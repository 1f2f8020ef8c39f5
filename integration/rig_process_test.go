package integration

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program running on a host.
type process struct {
	*journal
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended, and all who print with it; cmd.ProcessState is final then
}

// spawn starts a program. What it prints goes to its journal, which a failing
// test shows. It is killed when the test ends, unless it has ended by then.
func (h *host) spawn(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{journal: newJournal(), cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.journal, p.journal
	if err := h.Start(cmd); err != nil {
		t.Fatalf("%s: %v", h.Name, err)
	}
	go func() { // ends with the process
		p.cmd.Wait()
		p.journal.close()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s on %s printed:\n%s", cmd.Args, h.Name, p.journal)
		}
	})
	return p
}

// signal sends a signal to the process.
func (p *process) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

// wait waits for the process to end and returns its exit status.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	return p.waitFor(t, patience)
}

// waitFor is wait with another patience.
func (p *process) waitFor(t *testing.T, patience time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s has not ended", p.cmd.Args)
		return 0
	}
}

// alive reports whether the process has not ended yet.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// journal is what a process printed so far.
type journal struct {
	mu     sync.Mutex
	text   bytes.Buffer
	closed bool
	grown  *sync.Cond
}

func newJournal() *journal {
	j := &journal{}
	j.grown = sync.NewCond(&j.mu)
	return j
}

// Write adds to the journal. It never fails.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.grown.Broadcast()
	return j.text.Write(b)
}

func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.grown.Broadcast()
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// expect waits until the process has printed a line that contains all words, and
// returns that line. It ends the test when the process ends without it.
func (j *journal) expect(t *testing.T, words ...string) string {
	t.Helper()
	alarm := time.AfterFunc(patience, j.close)
	defer alarm.Stop()
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		if line, ok := find(j.text.String(), words); ok {
			return line
		}
		if j.closed {
			t.Fatalf("no line with %q", words)
		}
		j.grown.Wait()
	}
}

// find returns the first line of text that contains all words.
func find(text string, words []string) (string, bool) {
	for line := range strings.Lines(text) {
		if holdsAll(line, words) {
			return line, true
		}
	}
	return "", false
}

func holdsAll(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}
