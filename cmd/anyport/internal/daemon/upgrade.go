package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/handover"
	"anyport/steering"
)

// upgrade has another process of binary serve in its place, or changes nothing. The other may have a spare steering program
// for it, which is still the caller's. After it this process ends, with the last conn that
// has not moved.
//
// The end of starting ends the new process as long as that does not serve; the end of moving
// leaves the conns here that have not moved.
func (d *daemon) upgrade(starting, moving context.Context, binary string, spare steering.Inheritance) (u admin.Upgraded, err error) {
	if err := d.awaitArrivals(starting); err != nil {
		return u, err
	}
	d.log.Info("upgrade: starting the process that takes over", "binary", binary)
	d.unwatch() // it would put tables in service
	d.store()   // the new process is told what the service manager keeps
	if u, err = d.handOver(starting, moving, binary, spare); err != nil {
		d.watch()
		if errors.Is(err, errCancelled) {
			d.log.Info("upgrade cancelled", "because", err)
		} else {
			d.log.Error("upgrade refused: this process serves on", "problem", err)
		}
		return u, err
	}
	d.successor.Store(int64(u.PID))
	d.stopping.Store(true)
	d.log.Info("upgraded: another process serves", "pid", u.PID, "flows", u.Flows, "conns", u.Conns, "left", u.Left)
	if err := d.leave(); err != nil {
		d.log.Warn("something is not given up", "error", err)
	}
	return u, nil
}

// leave gives up what is the other process's now.
func (d *daemon) leave() error {
	err := d.steering.Release()
	if d.admin != nil {
		d.admin.LeaveFile(true)
		err = errors.Join(err, d.admin.Close())
	}
	if d.web != nil {
		err = errors.Join(err, d.web.Close())
	}
	return err
}

func (d *daemon) handOver(starting, moving context.Context, binary string, spare steering.Inheritance) (u admin.Upgraded, err error) {
	d.handing.Store(true)
	defer d.handing.Store(false)
	process, err := handover.Start(binary, os.Args[1:], d.parentOfNext())
	if err != nil {
		return u, err
	}
	defer process.Close()
	defer context.AfterFunc(moving, func() { process.Close() })()
	next := &successor{Successor: process, daemon: d, commit: context.AfterFunc(starting, func() { process.Kill() })}
	defer next.commit()
	if err := d.introduce(process, spare); err != nil {
		return u, next.failed(starting, err)
	}
	ctx, cancel := context.WithTimeout(moving, upgradePatience)
	defer cancel()
	if err := d.proxy.HandOver(ctx, next.takeFlows); err != nil {
		process.Kill()
		if starting.Err() != nil {
			err = errCancelled
		}
		return u, err
	}
	u = admin.Upgraded{PID: process.PID(), Binary: binary, Flows: next.flows}
	if err := d.proxy.MoveConns(ctx, next.takeConns); err != nil {
		d.log.Error("live conns end with this process, for they cannot move", "problem", err)
		u.Left = int(d.active())
	}
	u.Conns = next.conns
	return u, nil
}

// parentOfNext is who must be the parent of the process that takes over.
func (d *daemon) parentOfNext() handover.Parent {
	if d.opt.Manager.Listens() {
		return handover.Manager
	}
	return handover.Self
}

// introduce has the new process prepare, while this one serves.
func (d *daemon) introduce(next *handover.Successor, spare steering.Inheritance) error {
	if err := next.Patience(upgradePatience); err != nil {
		return err
	}
	if err := d.sendOffer(next.Conn, spare); err != nil {
		return err
	}
	_, err := next.Expect(handover.Prepared)
	return err
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
		return fmt.Errorf("the new process has ended before it was ready: %s", next.Wait())
	}
	next.Kill()
	return fmt.Errorf("the new process was ended, for it did not answer: %w", why)
}
