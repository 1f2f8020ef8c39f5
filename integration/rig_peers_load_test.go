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
	"sync"
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

// peerLoad is conns that stay, and conns that come and go.
type peerLoad struct {
	from *host
	long []*speaker

	ctx    context.Context
	stop   context.CancelFunc
	agents sync.WaitGroup
	asked  atomic.Int64

	mu     sync.Mutex
	faults []string // of the new conns
}

// newPeerLoad opens the conns that stay, half of them over IPv6.
func newPeerLoad(t *testing.T, from *host, long int) *peerLoad {
	t.Helper()
	l := &peerLoad{from: from}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for n := range long {
		conn, err := from.tryDial("tcp", "", talkAddress(n))
		if err != nil {
			t.Fatal(err)
		}
		l.long = append(l.long, hold(conn, uint64(n)<<32|1, 500*time.Millisecond, 0))
	}
	t.Cleanup(func() {
		l.stop()
		l.agents.Wait()
		for _, talk := range l.long {
			talk.hang()
		}
	})
	return l
}

// talkAddress is one of the served addresses, in turn IPv4 and IPv6.
func talkAddress(n int) string {
	if n%2 == 0 {
		return fmt.Sprintf("192.0.2.%d:%d", 1+n/2%250, talkPort)
	}
	return fmt.Sprintf("[2001:db8:1::%x]:%d", 1+n/2%1000, talkPort)
}

// churn opens conns, some a second, until the end. Each lasts for a few pieces.
func (l *peerLoad) churn(perSecond int) {
	const agents = 10
	for agent := range agents {
		l.agents.Go(func() { // ended by end
			l.from.do(func() {
				tick := time.NewTicker(time.Second * agents / time.Duration(perSecond))
				defer tick.Stop()
				for n := agent; ; n += agents {
					select {
					case <-l.ctx.Done():
						return
					case <-tick.C:
					}
					l.visit(n)
				}
			})
		})
	}
}

// visit opens one conn, on this thread, and follows it on another goroutine, which ends with the conn.
func (l *peerLoad) visit(n int) {
	l.asked.Add(1)
	conn, err := dialHere("tcp", "", talkAddress(n))
	if err != nil {
		l.fault("dial: %v", err)
		return
	}
	l.agents.Go(func() {
		conn.SetDeadline(time.Now().Add(2 * patience))
		talk := hold(conn, uint64(n)<<32|2, 20*time.Millisecond, 3)
		<-talk.done
		if talk.err != nil {
			l.fault("%s: %v", talk.name, talk.err)
		}
	})
}

func (l *peerLoad) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// lost are the conns that were lost until now, by the client's view.
func (l *peerLoad) lost() (faults []string) {
	for _, talk := range l.long {
		if err := talk.lost(); err != nil {
			faults = append(faults, fmt.Sprintf("long %s: %v", talk.name, err))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(faults, l.faults...)
}

// settle waits until each conn that stays has moved on in both directions, or is lost, and some new ones
// have come and gone.
func (l *peerLoad) settle(t *testing.T) {
	t.Helper()
	type mark struct{ sent, heard int64 }
	marks, asked := make([]mark, len(l.long)), l.asked.Load()
	for n, talk := range l.long {
		marks[n] = mark{talk.sent.Load() + 1, talk.heard.Load()}
	}
	stalled := 0
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(20 * time.Millisecond) {
		stalled = 0
		for n, talk := range l.long {
			if talk.lost() == nil && (talk.acked.Load() < marks[n].sent || talk.heard.Load() == marks[n].heard) {
				stalled++
			}
		}
		if stalled == 0 && (l.asked.Load() > asked+20 || l.asked.Load() == 0) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d conns stand still, %d new ones since", stalled, len(l.long), l.asked.Load()-asked)
		}
	}
}

// end ends all conns and returns the faults of all.
func (l *peerLoad) end(t *testing.T) []string {
	t.Helper()
	l.stop()
	l.agents.Wait()
	for _, talk := range l.long {
		talk.hang()
	}
	for _, talk := range l.long {
		select {
		case <-talk.done:
		case <-time.After(2 * patience):
			t.Errorf("%s does not end", talk.name)
		}
	}
	return l.lost()
}

// expectNoneLost ends the load.
func (l *peerLoad) expectNoneLost(t *testing.T) {
	t.Helper()
	faults := l.end(t)
	for i, fault := range faults {
		if i == 10 {
			break
		}
		t.Error(fault)
	}
	t.Logf("%d conns that stay, %d that came and went, %d lost", len(l.long), l.asked.Load(), len(faults))
}
