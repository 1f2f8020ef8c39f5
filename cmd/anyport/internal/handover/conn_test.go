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

// TestExpectLast: what was sent before is still received, and from then on nothing can be sent.
func TestExpectLast(t *testing.T) {
	old, young := connect(t)
	if err := young.Send(Taken, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := old.ExpectLast(Taken); err != nil {
		t.Errorf("what was sent before: %v", err)
	}
	if err := young.Send(Taken, nil); !errors.Is(err, unix.EPIPE) {
		t.Errorf("the other process can still send: %v", err)
	}
	silent, _ := connect(t)
	if _, err := silent.ExpectLast(Taken); err == nil {
		t.Error("nothing was sent, and it is received")
	}
}

// TestOtherVersion: the error of a process of another version says what to do, whatever follows its
// first byte.
func TestOtherVersion(t *testing.T) {
	for _, version := range []byte{0, Version + 1, 255} {
		old, young := connect(t)
		if _, err := old.stream.Write([]byte{version, byte(Offer), 1, 2, 3, 4, 5, 6, 7}); err != nil {
			t.Fatal(err)
		}
		if _, err := young.Expect(Offer); err == nil || !strings.Contains(err.Error(), "stop the old one and start the new one instead") {
			t.Errorf("version %d: %v", version, err)
		}
	}
}

// TestClosedEarly: a message that breaks off is an error that names it, and its files are closed.
func TestClosedEarly(t *testing.T) {
	for name, h := range map[string]header{
		"in the files": {Version, Flows, 2, 0},
		"in the body":  {Version, Flows, 0, 10},
	} {
		old, young := connect(t)
		if _, err := old.stream.Write(h.encode()); err != nil {
			t.Fatal(err)
		}
		if h.fds > 0 {
			if _, _, err := old.stream.WriteMsgUnix([]byte{0}, unix.UnixRights(marked(t, 1)), nil); err != nil {
				t.Fatal(err)
			}
		}
		before := files(t)
		old.Close()
		if _, err := young.Receive(); err == nil || !strings.Contains(err.Error(), `receive the message "flows": `) {
			t.Errorf("cut %s: %v", name, err)
		}
		if now := files(t); now >= before {
			t.Errorf("cut %s: %d files are open, %d before", name, now, before)
		}
	}
}

// TestMoreFilesThanAnnounced: such a message is refused, and none of them stays open.
func TestMoreFilesThanAnnounced(t *testing.T) {
	old, young := connect(t)
	if _, err := old.stream.Write(header{Version, Flows, 1, 0}.encode()); err != nil {
		t.Fatal(err)
	}
	fds := []int{marked(t, 1), marked(t, 2), marked(t, 3)}
	if _, _, err := old.stream.WriteMsgUnix([]byte{0}, unix.UnixRights(fds...), nil); err != nil {
		t.Fatal(err)
	}
	before := files(t)
	if m, err := young.Receive(); err == nil || !strings.Contains(err.Error(), "differs from the announced one") {
		t.Errorf("%+v, %v", m, err)
	}
	if now := files(t); now != before {
		t.Errorf("%d files are open, %d before", now, before)
	}
}

func files(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestKindString(t *testing.T) {
	for kind, want := range map[Kind]string{Offer: "offer", Taken: "taken", 0: "kind 0", 200: "kind 200"} {
		if kind.String() != want {
			t.Errorf("kind %d is %q, want %q", uint8(kind), kind, want)
		}
	}
	if Offer != 1 || Taken != 9 {
		t.Errorf("numbers that are on the wire have changed: offer %d, taken %d", Offer, Taken)
	}
}
