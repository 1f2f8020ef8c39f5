package daemon

import (
	"context"
	"errors"
	"os"
	"slices"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/tcp"
	"anyport/proxy/udp"
)

// successor is the process that is to serve, as [proxy.Server] hands over to it.
type successor struct {
	*handover.Successor
	daemon *daemon
	commit func() bool // from then on it is not ended; false: it has been
	flows  int         // that it has
	conns  int
}

// failed makes sure that it is ended, and says why it does not serve.
func (s *successor) failed(starting context.Context, why error) error {
	why = ended(s.Successor, why)
	if starting.Err() != nil {
		return errCancelled
	}
	return why
}

var errCancelled = errors.New("this process was told to stop meanwhile")

// goAhead goes with the message that the new process serves.
type goAhead struct {
	ConnFiles int `json:"conn_files"` // that the live conns hold, which come next
}

// flowsAtOnce keeps a message far below what the stream takes.
const flowsAtOnce = 4096

// takeFlows hands over while nothing is read. When it returns nil, the new process serves.
func (s *successor) takeFlows(flows []udp.Flow) error {
	if err := s.give(flows); err != nil {
		if !errors.Is(err, errCancelled) {
			err = ended(s.Successor, err)
		}
		return errors.Join(err, s.daemon.steering.Reclaim())
	}
	s.flows = len(flows)
	return nil
}

func (s *successor) give(flows []udp.Flow) error {
	if err := s.Patience(upgradePatience); err != nil {
		return err
	}
	for some := range slices.Chunk(flows, flowsAtOnce) {
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
		return errCancelled
	}
	// Before the other says anything: the manager listens to the main process alone.
	d := s.daemon
	d.replaced.Store(true)
	d.tell(d.opt.Manager.MainPID(s.PID()))
	err := s.Send(handover.Go, goAhead{ConnFiles: d.proxy.Files().TCP.Held})
	if err != nil { // it has ended, and this process serves on
		d.tell(d.opt.Manager.MainPID(os.Getpid()))
		d.replaced.Store(false)
	}
	return err
}

// takeConns gives it some live conns. They are its only if it says so: two processes must
// never relay one conn.
func (s *successor) takeConns(conns []tcp.Conn) error {
	if err := s.Patience(upgradePatience); err != nil {
		return err
	}
	var fds []int
	for _, c := range conns {
		fds = append(fds, c.FDs...)
	}
	if err := s.Send(handover.Conns, conns, fds...); err != nil {
		return err
	}
	_, err := s.Expect(handover.Taken)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_, err = s.LastWord(handover.Taken)
	}
	if err == nil {
		s.conns += len(conns)
	}
	return err
}
