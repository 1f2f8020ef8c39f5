package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"syscall"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/tcp"
	"anyport/proxy/udp"
)

// Server is the running anyport that is replaced, as [Run] needs it.
type Server interface {
	// Offer calls send with what the new process gets while this one serves.
	Offer(send func(Offer) error) error

	// HandOver and MoveConns are proxy.Server's.
	HandOver(ctx context.Context, give func([]udp.Flow) error) error
	MoveConns(ctx context.Context, give func([]tcp.Conn) error) error

	// Ahead is what the new process has to know when it begins to serve.
	Ahead() Ahead

	// Replaced is called once, when nothing can keep the new process from serving but its own end. The
	// service manager must hear it from this process, and before the new one says anything: it
	// listens to the main process only.
	Replaced(pid int)

	// NotReplaced takes Replaced back: the new process has ended before it got the message go, and this
	// one serves on.
	NotReplaced()

	// Reclaim takes the steering back from a new process that does not serve.
	Reclaim() error

	// Active is the number of live conns and flows.
	Active() int64
}

// Start is how to start the new process.
type Start struct {
	Binary string
	Args   []string
	Parent handover.Parent
}

// ErrCancelled is the error of an upgrade that a signal to stop has ended.
var ErrCancelled = errors.New("this process was told to stop meanwhile")

// Run makes another process serve in place of s, or changes nothing and returns why. After it this
// process only has the conns that have not moved.
//
// The end of starting kills the new process if it does not serve yet. The end of moving ends the wait
// for conns that have not moved: they stay here.
func Run(starting, moving context.Context, s Server, start Start, log *slog.Logger) (u admin.Upgraded, err error) {
	u, err = run(starting, moving, s, start, log, true)
	if errors.Is(err, errKeepsStderr) {
		return run(starting, moving, s, start, log, false)
	}
	return u, err
}

// errKeepsStderr is the error of an older version, which would lose its log with the end of this process.
var errKeepsStderr = errors.New("the new process keeps a pipe as its stderr")

// run is Run with one process. With capture the reason of a failure has the last line of its stderr.
func run(starting, moving context.Context, s Server, start Start, log *slog.Logger, capture bool) (u admin.Upgraded, err error) {
	process, err := handover.Start(start.Binary, start.Args, start.Parent, capture)
	if err != nil {
		return u, err
	}
	defer process.Close()
	defer context.AfterFunc(moving, func() { process.Close() })()
	next := &successor{Successor: process, server: s, commit: context.AfterFunc(starting, func() { process.Kill() })}
	defer next.commit()
	if err := next.prepare(); err != nil {
		return u, next.failed(starting, err)
	}
	ctx, cancel := context.WithTimeout(moving, Timeout)
	defer cancel()
	if err := s.HandOver(ctx, next.takeFlows); err != nil {
		process.Kill()
		if starting.Err() != nil {
			err = ErrCancelled
		}
		return u, err
	}
	u = admin.Upgraded{PID: process.PID(), Binary: start.Binary, Flows: next.flows}
	if err := s.MoveConns(ctx, next.takeConns); err != nil {
		log.Error("live conns cannot move to the new process and end with this one", "problem", err)
		u.Left = int(s.Active())
	}
	u.Conns = next.conns
	return u, nil
}

// successor is the new process, as [proxy.Server] hands over to it. Its methods are called one after
// the other, takeFlows and takeConns by the event loops.
type successor struct {
	*handover.Successor
	server Server
	commit func() bool // from then on the new process is not killed; false: it has been
	flows  int         // that it has
	conns  int
}

// Ahead goes with the message go. A process of an older version sends no body, or a part of it: the rest reads as zero.
type Ahead struct {
	ConnFiles    int           `json:"conn_files"`              // that the live conns hold, which come next
	PeersChanged time.Duration `json:"peers_changed,omitempty"` // when the members of the fleet changed last: see fleet.Fleet
}

// mostFlows is how many flows one message has: far fewer than the stream takes.
const mostFlows = 4096

// prepare makes the new process do all that can fail, while this one serves.
func (s *successor) prepare() error {
	if err := s.SetTimeout(Timeout); err != nil {
		return err
	}
	if err := s.server.Offer(func(o Offer) error { return o.send(s.Conn) }); err != nil {
		return err
	}
	if _, err := s.Expect(handover.Prepared); err != nil {
		return err
	}
	if !s.StderrTaken() {
		return errKeepsStderr
	}
	return nil
}

// takeFlows hands over while nothing is read. When it returns nil, the new process serves.
func (s *successor) takeFlows(flows []udp.Flow) error {
	if err := s.give(flows); err != nil {
		if !errors.Is(err, ErrCancelled) {
			err = endProcess(s.Successor, err)
		}
		return errors.Join(err, s.server.Reclaim())
	}
	s.flows = len(flows)
	return nil
}

// give sends the flows and waits for ready. The point of no return is commit: until then the end of
// starting kills the new process, afterwards it serves whatever happens here.
func (s *successor) give(flows []udp.Flow) error {
	if err := s.SetTimeout(Timeout); err != nil {
		return err
	}
	for some := range slices.Chunk(flows, mostFlows) {
		sockets := udp.Detach(some)
		if err := s.Send(handover.Flows, some, sockets...); err != nil {
			return err
		}
	}
	if err := s.Send(handover.Yours, nil); err != nil {
		return err
	}
	if _, err := s.Expect(handover.Ready); err != nil {
		return err
	}
	if !s.commit() {
		s.Kill()
		return ErrCancelled
	}
	s.server.Replaced(s.PID())
	err := s.Send(handover.Go, s.server.Ahead())
	if err != nil {
		s.server.NotReplaced()
	}
	return err
}

// takeConns gives it some live conns.
func (s *successor) takeConns(conns []tcp.Conn) error {
	err := giveBatch(s.Conn, conns)
	if err == nil {
		s.conns += len(conns)
	}
	return err
}

// giveBatch gives the other process some live conns. They are its own only if it says so: two processes must never
// relay one conn.
func giveBatch(to *handover.Conn, conns []tcp.Conn) error {
	if err := to.SetTimeout(Timeout); err != nil {
		return err
	}
	var fds []int
	for _, c := range conns {
		fds = append(fds, c.FDs...)
	}
	if err := to.Send(handover.Conns, conns, fds...); err != nil {
		return err
	}
	_, err := to.Expect(handover.Taken)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_, err = to.ExpectLast(handover.Taken)
	}
	return err
}

// failed makes sure that the new process has ended, and says why it does not serve.
func (s *successor) failed(starting context.Context, why error) error {
	why = endProcess(s.Successor, why)
	if starting.Err() != nil {
		return ErrCancelled
	}
	return why
}

// endProcess makes sure that the new process has ended, and says how it failed.
func endProcess(next *handover.Successor, why error) error {
	if errors.Is(why, errKeepsStderr) {
		next.Kill()
		return why
	}
	refused, closed := new(handover.RefusedError), errors.Is(why, syscall.EPIPE) || errors.Is(why, syscall.ECONNRESET)
	if closed { // what it has said before can still be heard
		_, heard := next.Expect(handover.Prepared)
		why = errors.Join(why, heard)
	}
	if errors.As(why, &refused) {
		next.Kill()
		return refused
	}
	if closed || errors.Is(why, io.EOF) {
		return fmt.Errorf("the new process ended before it was ready: %s", next.Wait())
	}
	next.Kill()
	return fmt.Errorf("the new process was killed, because it did not answer: %w", why)
}
