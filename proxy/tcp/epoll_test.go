package tcp

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestNoteEvents(t *testing.T) {
	for _, c := range []struct {
		name   string
		events uint32
		want   end
	}{
		{"bytes", unix.EPOLLIN, end{readable: true}},
		{"room", unix.EPOLLOUT, end{writable: true}},
		{"FIN", unix.EPOLLIN | unix.EPOLLRDHUP, end{readable: true, hungUp: true}},
		{"RST", unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLERR | unix.EPOLLHUP, end{readable: true, hungUp: true, failed: true}},
		{"urgent data", unix.EPOLLIN | unix.EPOLLPRI, end{readable: true, urgent: true}},
	} {
		var e end
		if e.noteEvents(c.events); e != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, e, c.want)
		}
	}
}

func TestListenersOf(t *testing.T) {
	for _, c := range []struct {
		listeners []int
		loops     int
		want      [][]int
	}{
		{[]int{7}, 3, [][]int{{7}, {7}, {7}}},
		{[]int{7, 8}, 3, [][]int{{7}, {8}, {7}}},
		{[]int{7, 8}, 2, [][]int{{7}, {8}}},
		{[]int{7, 8, 9}, 2, [][]int{{7, 9}, {8}}},
	} {
		for i, want := range c.want {
			if got := listenersOf(c.listeners, i, c.loops); len(got) != len(want) || got[0] != want[0] {
				t.Errorf("loop %d of %d has listeners %v of %v, want %v", i, c.loops, got, c.listeners, want)
			}
		}
	}
}

// An event can outlive its conn in a batch, and must not reach the next owner of the slot.
func TestDispatchTellsConnsApart(t *testing.T) {
	c := &conn{state: closed, generation: 2}
	l := &loop{slots: []*conn{nil, c}}
	for _, e := range []struct {
		name       string
		generation int32
		slot       int32
		heard      bool
	}{
		{"its own", 2, 1, true},
		{"the slot's former owner's", 1, 1, false},
		{"an ended conn's", 2, 0, false},
	} {
		c.ends[originEnd] = end{}
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: e.slot<<1 | originEnd, Pad: e.generation}
		if err := l.handleEvent(&event); err != nil {
			t.Fatal(err)
		}
		if heard := c.ends[originEnd].readable; heard != e.heard {
			t.Errorf("%s event: heard is %v, want %v", e.name, heard, e.heard)
		}
	}
}
