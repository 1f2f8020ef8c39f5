package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is one end of the stream between the two processes. One goroutine at a time sends or receives;
// Close may be called by any.
type Conn struct{ stream *net.UnixConn }

// Message is what was received. Its receiver owns the file descriptors.
type Message struct {
	Kind Kind
	FDs  []int // close-on-exec is set
	body []byte
}

// Decode reads the body into value.
func (m Message) Decode(value any) error {
	if err := json.Unmarshal(m.body, value); err != nil {
		return fmt.Errorf("the message %q cannot be read: %w", m.Kind, err)
	}
	return nil
}

// CloseFDs closes the file descriptors of a message that cannot be used.
func (m Message) CloseFDs() {
	for _, fd := range m.FDs {
		unix.Close(fd)
	}
}

// Send sends value as JSON, with copies of the file descriptors.
func (c *Conn) Send(kind Kind, value any, fds ...int) error {
	if err := c.send(kind, value, fds); err != nil {
		return fmt.Errorf("send the message %q: %w", kind, err)
	}
	return nil
}

// send writes the header, the file descriptors in batches beside one byte each, and the body. A message
// beyond the bounds is refused here rather than by the receiver.
func (c *Conn) send(kind Kind, value any, fds []int) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if len(fds) > mostFDs || len(body) > mostBody {
		return fmt.Errorf("%d file descriptors and %d bytes are too many: at most %d and %d", len(fds), len(body), mostFDs, mostBody)
	}
	if _, err := c.stream.Write(header{Version, kind, uint16(len(fds)), uint32(len(body))}.encode()); err != nil {
		return err
	}
	for batch := range slices.Chunk(fds, batchFDs) {
		if _, _, err := c.stream.WriteMsgUnix([]byte{0}, unix.UnixRights(batch...), nil); err != nil {
			return err
		}
	}
	_, err = c.stream.Write(body)
	return err
}

// Receive waits for the next message. io.EOF means that the other process has ended, or has closed its
// end.
func (c *Conn) Receive() (m Message, err error) {
	var raw [headerSize]byte
	if _, err := io.ReadFull(c.stream, raw[:]); err != nil {
		return m, err
	}
	h, err := decodeHeader(raw)
	if err != nil {
		return m, err
	}
	m.Kind = h.kind
	if m.FDs, err = c.receiveFDs(int(h.fds)); err == nil {
		m.body = make([]byte, h.body)
		_, err = io.ReadFull(c.stream, m.body)
	}
	if err != nil {
		m.CloseFDs()
		return Message{}, fmt.Errorf("receive the message %q: %w", h.kind, err)
	}
	return m, nil
}

// Expect receives a message of one kind. A refusal is a [RefusedError].
func (c *Conn) Expect(kind Kind) (Message, error) {
	m, err := c.Receive()
	switch {
	case err != nil:
		return Message{}, err
	case m.Kind == kind:
		return m, nil
	}
	defer m.CloseFDs()
	if m.Kind != Refused {
		return Message{}, fmt.Errorf("unexpected message %q, want %q", m.Kind, kind)
	}
	refused := new(RefusedError)
	if err := m.Decode(refused); err != nil {
		return Message{}, err
	}
	return Message{}, refused
}

// ExpectLast is Expect for a process that waits no longer: it closes its end for reading, so that the
// other one can send nothing any more and gets EPIPE when it tries. What it has sent before is still
// received. So both sides agree whether the message was sent.
func (c *Conn) ExpectLast(kind Kind) (Message, error) {
	if err := errors.Join(c.stream.CloseRead(), c.SetTimeout(time.Second)); err != nil {
		return Message{}, err
	}
	return c.Expect(kind)
}

// Refuse sends the reason why this process does not go on.
func (c *Conn) Refuse(why error) error {
	return c.Send(Refused, RefusedError{why.Error()})
}

// SetTimeout bounds everything that follows, together, until it is called again.
func (c *Conn) SetTimeout(d time.Duration) error { return c.stream.SetDeadline(time.Now().Add(d)) }

// SetNoTimeout has what follows wait as long as it takes.
func (c *Conn) SetNoTimeout() error { return c.stream.SetDeadline(time.Time{}) }

// Close closes this end.
func (c *Conn) Close() error { return c.stream.Close() }

// receiveFDs receives n file descriptors. On error it returns those that came.
func (c *Conn) receiveFDs(n int) (fds []int, err error) {
	control := make([]byte, unix.CmsgSpace(4*batchFDs))
	for len(fds) < n {
		_, size, flags, _, err := c.stream.ReadMsgUnix(make([]byte, 1), control)
		if err != nil {
			return fds, err
		}
		batch, err := ParseFDs(control[:size])
		fds = append(fds, batch...)
		switch {
		case err != nil:
			return fds, err
		case flags&unix.MSG_CTRUNC != 0:
			return fds, errors.New("file descriptors were lost: this process may have too many open: raise LimitNOFILE=")
		case len(batch) == 0 || len(fds) > n:
			return fds, errors.New("the number of file descriptors differs from the announced one")
		}
	}
	return fds, nil
}

// ParseFDs returns the file descriptors in control messages, on error too.
func ParseFDs(control []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	for _, m := range messages {
		rights, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fds, os.NewSyscallError("recvmsg", err)
		}
		fds = append(fds, rights...)
	}
	return fds, nil
}
