package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"

	"anyport/cmd/handover"
	"anyport/proxy/udp"
)

// Upgraded tells of the process that serves after an upgrade.
type Upgraded struct {
	PID    int    `json:"pid"`
	Binary string `json:"binary"`
	Flows  int    `json:"flows"` // that moved
	Conns  int64  `json:"conns"` // that stay here until they end, or drain_timeout cuts them
}

// upgrade has another process of binary, or of the one that this process was started
// from, serve in its place, or changes nothing. After it this process ends with its
// last conn.
func (d *daemon) upgrade(binary string) (u Upgraded, err error) {
	if d.stopping.Load() {
		return u, errors.New("anyport is stopping: there is nothing to hand over any more")
	}
	if binary == "" {
		if binary, err = os.Executable(); err != nil {
			return u, err
		}
	}
	d.log.Info("upgrade: starting the process that takes over", "binary", binary)
	d.unwatch() // it would put tables in service
	if u, err = d.handOver(binary); err != nil {
		d.watch()
		d.log.Error("upgrade refused: this process serves on", "problem", err)
		return u, err
	}
	d.stopping.Store(true)
	d.log.Info("upgraded: another process serves, live conns end here", "pid", u.PID, "flows", u.Flows, "conns", u.Conns)
	if err := d.leave(); err != nil {
		d.log.Warn("something is not given up", "error", err)
	}
	return u, nil
}

// leave gives up what is the other process's now.
func (d *daemon) leave() error {
	err := d.steering.Release()
	if d.admin != nil {
		d.admin.(*net.UnixListener).SetUnlinkOnClose(false)
		err = errors.Join(err, d.admin.Close())
	}
	if d.web != nil {
		err = errors.Join(err, d.web.Close())
	}
	return err
}

func (d *daemon) handOver(binary string) (u Upgraded, err error) {
	next, err := handover.Start(binary, os.Args[1:])
	if err != nil {
		return u, err
	}
	defer next.Close()
	u = Upgraded{PID: next.PID(), Binary: binary}
	if err := d.introduce(next); err != nil {
		return u, ended(next, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), upgradePatience)
	defer cancel()
	err = d.proxy.HandOver(ctx, func(flows []udp.Flow) error {
		u.Flows = len(flows)
		if err := d.give(next, flows); err != nil {
			return errors.Join(ended(next, err), d.steering.Reclaim())
		}
		return nil
	})
	if err != nil {
		next.Kill()
	}
	u.Conns = d.active()
	return u, err
}

// introduce has the new process prepare, while this one serves.
func (d *daemon) introduce(next *handover.Successor) error {
	if err := next.Patience(upgradePatience); err != nil {
		return err
	}
	if err := d.sendOffer(next.Conn); err != nil {
		return err
	}
	_, err := next.Expect(handover.Prepared)
	return err
}

// flowsAtOnce keeps a message far below what the stream takes.
const flowsAtOnce = 4096

// give hands over while nothing is read. When it returns nil, the new process serves.
func (d *daemon) give(next *handover.Successor, flows []udp.Flow) error {
	if err := next.Patience(upgradePatience); err != nil {
		return err
	}
	for some := range slices.Chunk(flows, flowsAtOnce) {
		sockets := udp.Detach(some)
		if err := next.Send(handover.Flows, some, sockets...); err != nil {
			return err
		}
	}
	if err := next.Send(handover.Yours, nil); err != nil {
		return err
	}
	if _, err := next.Expect(handover.Ready); err != nil {
		return err
	}
	// Before the other says anything: the manager listens to the main process alone.
	d.tell(d.opt.Manager.MainPID(next.PID()))
	return next.Send(handover.Go, nil)
}

// ended makes sure that the new process is no more, and says how it failed.
func ended(next *handover.Successor, why error) error {
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
		return fmt.Errorf("the new process has ended before it was ready: %v", next.Wait())
	}
	next.Kill()
	return fmt.Errorf("the new process was ended, for it did not answer: %w", why)
}
