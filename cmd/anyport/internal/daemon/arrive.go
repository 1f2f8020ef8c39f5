package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy/tcp"
)

// arrivals are conns that come from the process before.
type arrivals struct {
	from *handover.Conn
	over chan struct{} // closed after the last
}

// receive goes on with the conns of the process before until that has no more. It closes
// the stream.
func (d *daemon) receive(a *arrivals) {
	defer close(a.over)
	defer a.from.Close()
	defer d.proxy.AdoptConns(nil)
	<-d.proxy.Opened() // conns must not take the files that the loops need to begin
	total, err := 0, error(nil)
	for err == nil {
		n := 0
		n, err = d.receiveBatch(a.from)
		total += n
	}
	if !errors.Is(err, io.EOF) {
		d.log.Warn("live conns stay with the process before", "problem", err)
	}
	d.log.Info("took over from the process before", "conns", total)
}

func (d *daemon) receiveBatch(from *handover.Conn) (int, error) {
	if err := from.Patience(upgradePatience); err != nil {
		return 0, err
	}
	m, err := from.Expect(handover.Conns)
	if err != nil {
		return 0, err
	}
	conns, err := decodeConns(m)
	if err == nil { // first: from then on the process before will not touch them
		err = from.Send(handover.Taken, nil)
	}
	if err != nil {
		m.CloseFDs()
		return 0, err
	}
	d.proxy.AdoptConns(conns)
	return len(conns), nil
}

// decodeConns gives each conn its file descriptors.
func decodeConns(m handover.Message) ([]tcp.Conn, error) {
	var conns []tcp.Conn
	if err := m.Decode(&conns); err != nil {
		return nil, err
	}
	fds := m.FDs
	for i := range conns {
		n := conns[i].Files()
		if n > len(fds) {
			return nil, fmt.Errorf("%d conns came with %d file descriptors", len(conns), len(m.FDs))
		}
		conns[i].FDs, fds = fds[:n:n], fds[n:]
		if err := conns[i].Check(); err != nil {
			return nil, err
		}
	}
	if len(fds) > 0 {
		return nil, fmt.Errorf("%d conns came with %d file descriptors", len(conns), len(m.FDs))
	}
	return conns, nil
}

// awaitArrivals returns once the process before has given all that it had.
func (d *daemon) awaitArrivals(ctx context.Context) error {
	if d.arrivals == nil {
		return nil
	}
	select {
	case <-d.arrivals.over:
		return nil
	case <-ctx.Done():
		return errCancelled
	case <-time.After(upgradePatience):
		return errors.New("the process before is still handing over its conns")
	}
}
