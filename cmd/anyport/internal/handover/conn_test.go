package handover

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// connect gives both ends of a stream, which end with the test.
func connect(t testing.TB) (old, young *Conn) {
	t.Helper()
	files := [2]*os.File{}
	var err error
	if files[0], files[1], err = socketPair(); err != nil {
		t.Fatal(err)
	}
	ends := [2]*Conn{}
	for i, file := range files {
		if ends[i], err = connOf(file); err != nil {
			t.Fatal(err)
		}
		ends[i].SetTimeout(patience)
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}

// sending sends in the background: a large message fills the socket's buffer.
func sending(t *testing.T, c *Conn, kind Kind, value any, fds ...int) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- c.Send(kind, value, fds...) }() // ends when it is sent or its patience is over
	t.Cleanup(func() {
		if err := <-sent; err != nil {
			t.Errorf("send: %v", err)
		}
	})
}

func TestMessages(t *testing.T) {
	old, young := connect(t)
	long := strings.Repeat("x", 1<<20)
	for _, want := range []string{"", "short", long} {
		sending(t, old, Offer, want)
		m, err := young.Expect(Offer)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		if err := m.Decode(&got); err != nil || got != want {
			t.Errorf("%d bytes became %d, %v", len(want), len(got), err)
		}
	}
}

// TestFDs wants each file descriptor to arrive in its place, batch after batch.
func TestFDs(t *testing.T) {
	for _, n := range []int{0, 1, batchFDs, batchFDs + 1, 3*batchFDs + 7} {
		old, young := connect(t)
		var fds []int
		for i := range n {
			fds = append(fds, marked(t, i))
		}
		sending(t, old, Flows, n, fds...)
		m, err := young.Expect(Flows)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.FDs) != n {
			t.Fatalf("%d of %d arrived", len(m.FDs), n)
		}
		for i, fd := range m.FDs {
			if got := mark(t, fd); got != i {
				t.Fatalf("in place %d of %d is %d", i, n, got)
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Fatalf("a file descriptor that other programs would inherit: %v", err)
			}
		}
		m.CloseFDs()
	}
}

// marked is a file descriptor that can be told from others: its file has a length.
func marked(t *testing.T, mark int) int {
	t.Helper()
	fd, err := unix.MemfdCreate("marked", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Ftruncate(fd, int64(mark)); err != nil {
		t.Fatal(err)
	}
	return fd
}

func mark(t *testing.T, fd int) int {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		t.Fatal(err)
	}
	return int(stat.Size)
}

func TestRefuse(t *testing.T) {
	old, young := connect(t)
	if err := young.Refuse(errors.New("the file is wrong")); err != nil {
		t.Fatal(err)
	}
	_, err := old.Expect(Prepared)
	if refused := new(RefusedError); !errors.As(err, &refused) || refused.Reason != "the file is wrong" {
		t.Errorf("got %v, want the reason", err)
	}
}

func TestExpectAnother(t *testing.T) {
	old, young := connect(t)
	sending(t, old, Flows, nil, marked(t, 0))
	if _, err := young.Expect(Offer); err == nil || !strings.Contains(err.Error(), `"flows"`) {
		t.Errorf("got %v, want an error that names what came", err)
	}
}

func TestEnd(t *testing.T) {
	old, young := connect(t)
	old.Close()
	if _, err := young.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want EOF", err)
	}
}

func TestSetTimeout(t *testing.T) {
	old, _ := connect(t)
	old.SetTimeout(time.Millisecond)
	if _, err := old.Receive(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the end of patience", err)
	}
}

func TestTooLarge(t *testing.T) {
	old, _ := connect(t)
	for _, err := range []error{
		old.Send(Offer, strings.Repeat("x", mostBody)),
		old.Send(Flows, nil, make([]int, mostFDs+1)...),
	} {
		if err == nil || !strings.Contains(err.Error(), "at most") {
			t.Errorf("got %v, want that it is too much", err)
		}
	}
}

// FuzzReceive reads what some other program might write.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{Version + 1, byte(Offer), 0, 0, 0, 0, 0, 0})
	f.Add([]byte{Version, byte(Offer), 0, 0, 0, 0, 0, 2, '{', '}'})
	f.Add([]byte{Version, byte(Refused), 0, 0, 0, 0, 0, 4, 'n', 'u', 'l', 'l'})
	f.Add([]byte{Version, byte(Flows), 0, 1, 0, 0, 0, 0, 0})
	f.Add([]byte{Version, 200, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) > 1<<16 {
			t.Skip("more than the socket takes at once")
		}
		old, young := connect(t)
		if _, err := old.stream.Write(stream); err != nil {
			t.Fatal(err)
		}
		old.Close()
		for {
			m, err := young.Receive()
			if err != nil {
				return
			}
			_ = m.Decode(new(RefusedError))
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add(uint8(Version), uint8(Go), uint16(3), uint32(5))
	f.Fuzz(func(t *testing.T, version, kind uint8, fds uint16, body uint32) {
		want := header{version, Kind(kind), fds, body}
		got, err := decodeHeader([headerSize]byte(want.encode()))
		if good := version == Version && fds <= mostFDs && body <= mostBody; good != (err == nil) {
			t.Fatalf("%+v: %v", want, err)
		}
		if err == nil && got != want {
			t.Errorf("%+v became %+v", want, got)
		}
	})
}
