package mailbox

import (
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// loop runs the queue's functions until one of them stops it.
type loop struct {
	*Queue
	stopped bool
	calls   int // not guarded: only the loop writes it
}

func start(t *testing.T) *loop {
	t.Helper()
	q, err := New()
	if err != nil {
		t.Fatal(err)
	}
	l, ended := &loop{Queue: q}, make(chan struct{})
	go func() { // ends with the order that stops it
		defer close(ended)
		defer q.End()
		for !l.stopped {
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(q.FD()), Events: unix.POLLIN}}, -1)
			q.Run()
		}
	}()
	t.Cleanup(func() {
		l.stop()
		<-ended
		q.Close()
	})
	return l
}

func (l *loop) stop() bool { return l.Do(func() { l.stopped = true }) }

func TestDo(t *testing.T) {
	l := start(t)
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			for range 20 {
				if !l.Do(func() { l.calls++ }) {
					t.Error("an order was not done")
				}
			}
		})
	}
	callers.Wait()
	if got := 0; !l.Do(func() { got = l.calls }) || got != 1000 {
		t.Errorf("%d functions were run, want 1000", got)
	}
}

func TestDoAfterTheEnd(t *testing.T) {
	l := start(t)
	if !l.stop() {
		t.Fatal("the loop did not stop")
	}
	for range 3 { // one may still find room in the queue
		if l.Do(func() { t.Error("done by a loop that has ended") }) {
			t.Error("said to be done")
		}
	}
}
