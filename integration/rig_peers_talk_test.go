package integration

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// The protocol of talker, which is what a client sees of a conn. Both sides send a stream of bytes of their
// own at their own pace, so no number of TCP's is a function of another. The client begins with its
// seed and its pace. The origin sends frames: a length, how many bytes of the client it has, and the bytes, of a
// generator with that seed. After the client's FIN comes a frame without bytes, with a hash of all that the
// client has sent.
const (
	talkPort  = 4700
	frameHead = 2 + 8
	mostPiece = 700
)

// talker is the origin's side of conns: it ends with the test.
func (f *peerRig) talker(t *testing.T, address string) {
	t.Helper()
	f.origin.serve(t, address, func(conn net.Conn) { _ = talkBack(conn) })
}

// talkBack serves a conn until the client's FIN.
func talkBack(conn net.Conn) error {
	var head [8 + 8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	seed, pace := binary.BigEndian.Uint64(head[:]), time.Duration(binary.BigEndian.Uint64(head[8:]))
	var received atomic.Int64
	over := make(chan []byte, 1) // the hash of all; closed without one at an error
	go func() {                  // ends with the client's stream
		defer close(over)
		sum := sha256.New()
		if _, err := io.Copy(io.MultiWriter(sum, counter{&received}), conn); err == nil {
			over <- sum.Sum(nil)
		}
	}()
	stream := newSpeech(^seed)
	for {
		select {
		case sum, ok := <-over:
			if !ok {
				return errors.New("the client's stream broke")
			}
			return writeFrame(conn, received.Load(), nil, sum)
		case <-time.After(stream.pause(pace)):
		}
		if err := writeFrame(conn, received.Load(), stream.piece(), nil); err != nil {
			return err
		}
	}
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

func writeFrame(conn net.Conn, received int64, piece, trailer []byte) error {
	frame := binary.BigEndian.AppendUint16(nil, uint16(len(piece)))
	frame = binary.BigEndian.AppendUint64(frame, uint64(received))
	_, err := conn.Write(append(append(frame, piece...), trailer...))
	return err
}

// speech is a stream of random pieces. It belongs to one goroutine.
type speech struct{ random *rand.ChaCha8 }

func newSpeech(seed uint64) *speech {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return &speech{rand.NewChaCha8(key)}
}

func (s *speech) piece() []byte {
	piece := make([]byte, 1+s.random.Uint64()%mostPiece)
	_, _ = s.random.Read(piece)
	return piece
}

// pause is between half and one and a half of the mean. It does not change what the pieces are.
func (s *speech) pause(mean time.Duration) time.Duration { return mean/2 + rand.N(mean+1) }

// speaker is the client's side of one conn. Its fields are atomic, so that the test may look at any time.
type speaker struct {
	name string

	client, dst netip.AddrPort

	sent  atomic.Int64
	acked atomic.Int64 // of sent: what the origin said that it has
	heard atomic.Int64 // bytes of the origin
	hang  context.CancelFunc
	ctx   context.Context
	done  chan struct{} // closed at the end
	err   error         // why it was lost; nil: it was not. Read after done
}

// hold talks over a conn until hangUp, or for a number of pieces if that is not 0.
func hold(conn net.Conn, seed uint64, pace time.Duration, pieces int) *speaker {
	t := &speaker{
		name:   conn.LocalAddr().String() + " → " + conn.RemoteAddr().String(),
		client: conn.LocalAddr().(*net.TCPAddr).AddrPort(), dst: conn.RemoteAddr().(*net.TCPAddr).AddrPort(),
		done: make(chan struct{}),
	}
	t.ctx, t.hang = context.WithCancel(context.Background())
	go func() { // ends with the conn
		defer close(t.done)
		defer conn.Close()
		defer t.hang()
		t.err = t.run(conn, seed, pace, pieces)
	}()
	return t
}

func (t *speaker) run(conn net.Conn, seed uint64, pace time.Duration, pieces int) error {
	said := make(chan error, 1)
	sum := sha256.New()
	go func() { said <- t.say(conn, sum, seed, pace, pieces) }() // ends with the talk, or the conn
	trailer, err := t.hear(conn, newSpeech(^seed))
	if err != nil {
		conn.Close()
		return errors.Join(err, <-said)
	}
	if err := <-said; err != nil {
		return err
	}
	if string(trailer) != string(sum.Sum(nil)) {
		return errors.New("the origin heard something else than was said")
	}
	return nil
}

func (t *speaker) say(conn net.Conn, sum hash.Hash, seed uint64, pace time.Duration, pieces int) error {
	head := binary.BigEndian.AppendUint64(nil, seed)
	if _, err := conn.Write(binary.BigEndian.AppendUint64(head, uint64(pace))); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	stream := newSpeech(seed)
	for n := 0; pieces == 0 || n < pieces; n++ {
		select {
		case <-t.ctx.Done():
			n = pieces
			pieces = 1
			continue
		case <-time.After(stream.pause(pace)):
		}
		piece := stream.piece()
		sum.Write(piece)
		if _, err := conn.Write(piece); err != nil {
			return fmt.Errorf("say: %w", err)
		}
		t.sent.Add(int64(len(piece)))
	}
	return conn.(*net.TCPConn).CloseWrite()
}

// hear checks each byte of the origin, and returns its trailer.
func (t *speaker) hear(conn net.Conn, expected *speech) ([]byte, error) {
	var head [frameHead]byte
	for {
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return nil, fmt.Errorf("hear, after %d bytes: %w", t.heard.Load(), err)
		}
		size := int(binary.BigEndian.Uint16(head[:]))
		t.acked.Store(int64(binary.BigEndian.Uint64(head[2:])))
		if size == 0 {
			trailer := make([]byte, sha256.Size)
			_, err := io.ReadFull(conn, trailer)
			return trailer, err
		}
		piece, want := make([]byte, size), expected.piece()
		if _, err := io.ReadFull(conn, piece); err != nil {
			return nil, fmt.Errorf("hear, after %d bytes: %w", t.heard.Load(), err)
		}
		if string(piece) != string(want) {
			return nil, errors.New("the client heard something else than the origin said")
		}
		t.heard.Add(int64(size))
	}
}

// lost reports why the conn was lost; nil while it lives.
func (t *speaker) lost() error {
	select {
	case <-t.done:
		return t.err
	default:
		return nil
	}
}
