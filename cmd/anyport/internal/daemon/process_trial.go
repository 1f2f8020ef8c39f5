package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/api"
	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/upgrade"
	"anyport/config"
	"anyport/proxy/route"
	"anyport/steering"
)

// processTrial is a process that takes the TCP conns of a share of the clients beside this one: `anyport upgrade
// --share`. It is made by the goroutine of an upgradeRun, and ended by another one, or by the goroutine that decides.
type processTrial struct {
	percent float64 // of the clients
	since   time.Time
	binary  string
	root    bool        // root has named the binary
	file    os.FileInfo // of the binary
	next    *upgrade.Trial
	share   steering.Share
	tally   *route.Tally                    // of what begins in this process
	side    atomic.Pointer[admin.TrialSide] // what the other one has counted, about a second ago
	ending  chan struct{}                   // closed when the trial is being ended

	held   heldState   // what the other one holds; its goroutine is that of followTrial
	stuck  atomic.Bool // its event loops do not turn
	failed error       // why it has not given back its conns, if it has ended or was killed then; of the run that ends the trial
}

// refused is why an order cannot be carried out during the trial; nil: nothing is on trial.
func (t *processTrial) refused() error {
	if t == nil {
		return nil
	}
	return fmt.Errorf("process %d (%s) is on trial, for %v%% of the clients since %s: first have it serve all with: anyport upgrade --all, or end it with: anyport upgrade --back",
		t.next.PID(), t.binary, t.percent, t.since.Format(time.TimeOnly))
}

// checkOneProcess refuses what would reach only the conns of this process.
func (d *daemon) checkOneProcess() error { return d.processTrial.Load().refused() }

// beginShare starts a process that takes a share of the clients, on another goroutine, which calls report with the
// outcome.
func (d *daemon) beginShare(binary string, order api.UpgradeOrder, report func(admin.Upgraded, error)) error {
	if d.reloading != nil {
		return errors.New("a reload is under way: ask again when it has ended")
	}
	return d.beginRun(func(starting, _ context.Context) (admin.Upgraded, error) { return d.share(starting, binary, order) }, report)
}

// share starts a process and has it take a share of the clients, or changes nothing.
func (d *daemon) share(starting context.Context, binary string, order api.UpgradeOrder) (u admin.Upgraded, err error) {
	defer func() {
		if err != nil {
			d.log.Error("trial refused: this process serves on", "problem", err)
		}
	}()
	if err := d.awaitConns(starting); err != nil {
		return u, err
	}
	t := &processTrial{percent: order.Share, since: time.Now(), binary: binary, root: order.Binary != "", ending: make(chan struct{}), held: d.heldState()}
	if t.share, err = steering.NewShare(order.Share); err != nil {
		return u, err
	}
	if t.file, err = d.stat(binary); err != nil {
		return u, err
	}
	d.log.Info("trial: starting the new process", "binary", binary, "share_percent", order.Share)
	next, listener, err := upgrade.StartTrial(starting, replaced{d, order.Files}.offerTrial, upgrade.Start{Binary: binary, Args: os.Args[1:], Parent: handover.Self})
	if err != nil {
		return u, err
	}
	t.next = next
	t.side.Store(&admin.TrialSide{PID: next.PID(), Version: next.Version})
	t.tally = d.proxy.CountFrom()
	err = d.steering.ShareConns(listener, t.share)
	unix.Close(listener)
	if err != nil {
		d.proxy.StopCounting()
		next.Kill()
		return u, err
	}
	d.processTrial.Store(t)
	d.trialEnd.Store(nil)
	go d.followTrial(t) // ends with the trial
	d.log.Info("trial begun", "pid", next.PID(), "version", next.Version, "share_percent", order.Share)
	return admin.Upgraded{PID: next.PID(), Binary: binary, Trial: admin.TrialBegun, SharePercent: order.Share}, nil
}

// stat is os.Stat of a file that may be on a mount that hangs.
func (d *daemon) stat(path string) (os.FileInfo, error) {
	return slowfs.Do(d.slow, "look at the new binary", func() (os.FileInfo, error) { return os.Stat(path) })
}

// forgetTrial ends a trial in this process.
func (d *daemon) forgetTrial(t *processTrial, err error) {
	if err != nil {
		d.log.Error("cannot clear what the kernel knows of a trial", "error", err)
	}
	d.proxy.StopCounting()
	d.processTrial.Store(nil)
	d.log.Info("trial ended", "pid", t.next.PID(), "lasted", time.Since(t.since).Round(time.Second))
	if d.fleet.wanted.Load() != nil {
		go func() { // ends when the table is asked for, or with control
			_ = d.decide(context.Background(), func() error { d.askTable(); return nil })
		}()
	}
}

// endProcessTrial takes the conns back without an order, as before this process stops. If it cannot, the other process is
// killed.
func (d *daemon) endProcessTrial() {
	t := d.processTrial.Load()
	d.startRun(func(_, moving context.Context) (admin.Upgraded, error) { return d.takeBack(moving, t) }, func(_ admin.Upgraded, err error) {
		if err != nil {
			d.killOnTrial(t, err)
		}
	})
}

// killOnTrial ends a trial whose conns cannot be taken back: the kernel has all from here when its listener is gone.
func (d *daemon) killOnTrial(t *processTrial, because error) {
	d.log.Error("the process on trial is killed", "pid", t.next.PID(), "because", because, "end", t.next.Kill())
	d.forgetTrial(t, nil)
}

// endShare ends the trial on another goroutine, which calls report with the outcome: this process takes the conns back,
// and with all it then hands over to a new process of the same binary.
func (d *daemon) endShare(all bool, order api.UpgradeOrder, report func(admin.Upgraded, error)) error {
	t := d.processTrial.Load()
	switch {
	case t == nil && d.trial.Load() != nil:
		return d.checkNoTrial()
	case t == nil:
		return d.errNoTrial()
	case all && t.root && !order.Root:
		return errors.New("root has named the binary that is on trial: run the command as root")
	}
	if err := d.checkChangeable(); err != nil {
		return err
	}
	d.startRun(func(starting, moving context.Context) (admin.Upgraded, error) {
		if all {
			if err := d.checkSameBinary(t); err != nil {
				return admin.Upgraded{}, err
			}
		}
		u, err := d.takeBack(moving, t)
		switch {
		case err != nil || !all:
			return u, err
		case t.failed != nil:
			return u, fmt.Errorf("the process on trial has failed at the end, so this one serves all, and %s does not: %w", t.binary, t.failed)
		}
		u, err = d.upgrade(starting, moving, t.binary, order.Files)
		u.Trial, u.SharePercent = admin.TrialAll, t.percent
		return u, err
	}, report)
	return nil
}

// endTime is how much later than the end of its stream the end of a process may be seen.
const endTime = time.Second

// ends reports whether the process on trial has ended, or does at this moment.
func (t *processTrial) ends() bool {
	select {
	case <-t.next.Ended():
		return true
	case <-time.After(endTime):
		return false
	}
}

// checkSameBinary refuses to have another binary serve all than the one on trial.
func (d *daemon) checkSameBinary(t *processTrial) error {
	now, err := d.stat(t.binary)
	if err != nil {
		return err
	}
	if !os.SameFile(now, t.file) || now.Size() != t.file.Size() || !now.ModTime().Equal(t.file.ModTime()) {
		return fmt.Errorf("%s has changed since the trial began: end it with: anyport upgrade --back", t.binary)
	}
	return nil
}

// takeBack ends the trial: from the next SYN on this process has all, and then the live conns come here. Those that
// cannot come end with the other process. The end of moving kills that process.
func (d *daemon) takeBack(moving context.Context, t *processTrial) (u admin.Upgraded, err error) {
	defer context.AfterFunc(moving, func() { t.next.Kill() })()
	if err := d.steering.TakeBackConns(); err != nil {
		return u, err
	}
	close(t.ending)
	n, c, err := t.next.GiveBack(d.proxy.AdoptConns)
	d.proxy.AdoptConns(nil)
	if err == nil {
		d.addTrial(t, c)
	} else {
		d.log.Warn("live conns of the trial stay with its process, and end with it", "pid", t.next.PID(), "problem", err)
		if errors.Is(err, os.ErrDeadlineExceeded) || t.stuck.Load() { // it hangs, and its conns with it
			t.next.Kill()
		}
		if t.ends() {
			t.failed = err
		}
	}
	side := t.side.Load()
	d.forgetTrial(t, nil)
	u = admin.Upgraded{PID: os.Getpid(), Binary: t.binary, Conns: n, Trial: admin.TrialBack, SharePercent: t.percent}
	if err != nil {
		u.Left = max(0, int(side.Active)-n)
	}
	return u, nil
}

// killTrial ends what an orderly stop has not: the process on trial must not outlive this one.
func (d *daemon) killTrial() {
	if t := d.processTrial.Load(); t != nil {
		t.next.Kill()
	}
}

// processTrialStatus describes the two processes of a trial. Only TCP conns are shared.
func (d *daemon) processTrialStatus(t *processTrial, kernel *steering.TrialCounters) *admin.TrialStatus {
	old, next := trialSide(0, t.tally, config.TCP), *t.side.Load()
	old.PID, old.Version = os.Getpid(), d.opt.Version
	for _, side := range []*admin.TrialSide{&old, &next} {
		side.Generation = d.serving.Load().number
	}
	addKernel(&old, kernel.Old)
	addKernel(&next, kernel.Next)
	return &admin.TrialStatus{Of: admin.TrialOfProcess, Binary: t.binary, SharePercent: t.percent, Since: t.since, Old: old, New: next}
}
