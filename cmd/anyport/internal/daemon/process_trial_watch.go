package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"anyport/cmd/anyport/internal/upgrade"
	"anyport/proxy"
)

const (
	// countInterval is the time between two questions to a process on trial.
	countInterval = time.Second

	// silenceLimit is how long it may take for an answer, or its event loops for a turn, before this process takes all
	// new conns. Its clients wait with it. The live conns are taken back if it goes on within shareTimeout of package
	// upgrade.
	silenceLimit = 3 * time.Second
)

// offerTrial calls send with what a process on trial needs, and what it holds in case that this one dies. A service
// manager would end it then: so it holds nothing.
func (r replaced) offerTrial(send func(upgrade.Offer) error) error {
	return r.Offer(func(o upgrade.Offer) error {
		if r.opt.Manager.Listens() {
			maps.DeleteFunc(o.FDs, func(name string, _ int) bool { return name != upgrade.FDAccess && name != upgrade.FDTable })
		}
		o.Stored, o.Trial, o.File = nil, true, fileHash(r.serving.Load().config)
		return send(o)
	})
}

// heldState is what a process on trial has to be told when it changes.
type heldState struct {
	fds      string // of the steering
	relinked int64
	admin    int // how often the admin socket was made again
	drains   *drains
	segment  int           // that clients are told
	reopened int64         // how often the access log was
	members  time.Duration // when those of the fleet changed last, in steps: it is computed from two clocks
}

// heldState has only what is to be followed where nothing is held.
func (d *daemon) heldState() (h heldState) {
	h.segment, h.reopened = d.clientSegment(), d.access.reopened.Load()
	if d.opt.Manager.Listens() {
		return h
	}
	fds := d.steering.Handover()
	for _, name := range slices.Sorted(maps.Keys(fds)) {
		h.fds += fmt.Sprint(name, "=", fds[name], "\n")
	}
	if d.admin != nil {
		h.admin = d.admin.Restored()
	}
	peers, _ := d.steering.Fleet()
	h.members = peers.Changed().Round(10 * time.Second)
	h.relinked, h.drains = d.relinks.Load(), d.drains.Load()
	return h
}

// shareAnswer is the answer to a question.
type shareAnswer struct {
	upgrade.ShareCounts
	err error
}

// followTrial asks a process on trial what it has counted, until the trial is being ended. When that process ends or
// does not answer, this one has all conns again.
func (d *daemon) followTrial(t *processTrial) {
	ticker := time.NewTicker(countInterval)
	defer ticker.Stop()
	for stuck := 0; ; {
		select {
		case <-t.ending:
			return
		case <-t.next.Ended():
			d.loseTrial(t, io.EOF)
			return
		case <-ticker.C:
		}
		answer := make(chan shareAnswer, 1)
		go func() { // ends after shareTimeout of package upgrade
			c, err := t.next.Count()
			answer <- shareAnswer{c, err}
		}()
		select {
		case <-t.ending:
			return
		case <-time.After(silenceLimit):
			d.endSilentTrial(t, "it does not answer")
			return
		case c := <-answer:
			if c.err == nil {
				c.err = d.renewHeld(t)
			}
			if c.err != nil {
				d.loseTrial(t, c.err)
				return
			}
			d.addTrial(t, c.ShareCounts)
			if stuck++; c.Stuck == 0 {
				stuck = 0
			}
			if stuck > int(silenceLimit/countInterval) {
				t.stuck.Store(true)
				d.endSilentTrial(t, fmt.Sprintf("%d of its event loops do not turn", c.Stuck))
				return
			}
		}
	}
}

// renewHeld gives the process on trial what has changed of what it holds.
func (d *daemon) renewHeld(t *processTrial) error {
	now := d.heldState()
	if now == t.held {
		return nil
	}
	t.held = now
	return t.next.Hold(replaced{daemon: d}.offerTrial)
}

// loseTrial ends the trial of a process that has died, or whose answers make no sense.
func (d *daemon) loseTrial(t *processTrial, failed error) {
	select {
	case <-t.ending: // that is why it has failed
		return
	default:
	}
	how := t.next.Kill()
	_ = d.decide(context.Background(), func() error {
		if d.processTrial.Load() == t {
			err := d.steering.TakeBackConns() // before a line says so
			d.log.Error("the process on trial has failed: this process serves all conns", "pid", t.next.PID(), "because", failed, "end", how)
			d.noteTrialEnd(t, "it has failed: "+how)
			d.forgetTrial(t, err)
		}
		return nil
	})
}

// endSilentTrial ends the trial of a process that stands still. It has all new conns here before a line says so.
func (d *daemon) endSilentTrial(t *processTrial, why string) {
	_ = d.decide(context.Background(), func() error {
		if d.processTrial.Load() == t && d.upgrading == nil {
			d.noteTrialEnd(t, why)
			if err := d.steering.TakeBackConns(); err != nil {
				d.killOnTrial(t, err)
				return nil
			}
			d.log.Error("the process on trial stands still: this process serves all new conns, and ends the trial", "pid", t.next.PID(), "because", why)
			d.endProcessTrial()
		}
		return nil
	})
}

// noteTrialEnd remembers why a trial has ended without an order.
func (d *daemon) noteTrialEnd(t *processTrial, why string) {
	text := fmt.Sprintf("the trial of process %d has ended by itself, since %s", t.next.PID(), why)
	d.trialEnd.Store(&text)
}

// errNoTrial is the answer to --all and --back where there is nothing to end.
func (d *daemon) errNoTrial() error {
	const begin = "begin with: anyport upgrade --share 5%"
	if why := d.trialEnd.Load(); why != nil {
		return fmt.Errorf("no process is on trial: %s: %s", *why, begin)
	}
	return errors.New("no process is on trial: " + begin)
}

// addTrial keeps what a process on trial has counted: its counters become part of this one's, as those of a process that
// an upgrade has replaced.
func (d *daemon) addTrial(t *processTrial, c upgrade.ShareCounts) {
	t.side.Store(&c.Side)
	for _, a := range c.Added {
		if !a.ID.OfProcess() {
			d.proxy.AddCount(proxy.CounterID(a.ID), a.N)
		}
	}
}
