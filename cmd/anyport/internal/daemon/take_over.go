package daemon

import (
	"errors"
	"maps"

	"anyport/cmd/anyport/internal/handover"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/cmd/anyport/internal/upgrade"
	"anyport/proxy"
)

// When the process before dies during a trial, the one on trial takes its place. What begins to serve then is another
// daemon in the same process, which is to the one on trial as the new process of an upgrade is to the old: it goes on
// with what the dead process has left, and gets the live conns. It needs neither the file nor the binary on the disk.

// Held keeps what the process before has given in the order in which it must end.
func (t *onTrial) Held(fds map[string]int) {
	if err := t.heir.Hold(fds); err != nil {
		t.log.Error("served prefixes may lead to the host's own listeners if this process and the one before die", "error", err)
	}
}

// takeOver returns a daemon that serves in place of the process before, if that has died and has left what it takes; nil
// otherwise: then nothing has changed for the conns of this one.
func (d *daemon) takeOver(died bool) (heir *daemon) {
	defer d.before.LetGo()
	defer d.trying.Held(nil)
	if !died || len(d.before.FDs) == 0 {
		return nil
	}
	d.log.Warn("the process before has died: this process serves all", "conns", d.proxy.Active())
	d.lowFDs.release() // the other daemon has its own
	_, err := slowfs.Do(d.slow, "read the records of the crash-loop guard", func() (any, error) { return nil, d.opt.Guard.FindDeath() })
	if err != nil {
		d.log.Warn("crash-loop guard: the death of the process before is not counted", "problem", err)
	}
	if heir, err = d.openHeir(d.before.Offer); err != nil {
		d.log.Error("cannot serve in place of the process before: start anyport again", "problem", err)
		return nil
	}
	return heir
}

// openHeir opens a daemon with what is left of a dead process. It gets the conns of this one once it serves.
func (d *daemon) openHeir(left upgrade.Offer) (*daemon, error) {
	own, err := replaced{daemon: d}.duplicates()
	if err != nil {
		return nil, err
	}
	defer own.Close()
	left.FDs = maps.Clone(left.FDs)
	delete(left.FDs, upgrade.FDAccess)
	maps.Copy(left.FDs, own)
	left.Trial, left.Stored, left.Origins = false, nil, d.proxy.OriginStates()
	here, there, err := handover.Pair()
	if err != nil {
		return nil, err
	}
	d.trying.passed = make(chan error, 1)
	go func() { // ended by the heir, or the end of the stream
		d.trying.passed <- upgrade.PassOn(here, left, d.trying, d.proxy.Files().TCP.Held)
	}()
	opt := d.opt
	opt.Predecessor, opt.heirOf = there, d
	heir, err := open(opt)
	if err != nil {
		err = errors.Join(err, there.Close())
		<-d.trying.passed
		return nil, err
	}
	heir.opt.heirOf = nil // or nothing of it could be freed
	return heir, nil
}

// leaveTrial ends what this daemon has beside its heir, once that has the live conns.
func (d *daemon) leaveTrial(heir *daemon, drain func(), served <-chan error) {
	if err := <-d.trying.passed; err != nil {
		d.log.Warn("some live conns are not passed on within the process, and end with its trial", "problem", err, "conns", d.proxy.Active())
	}
	drain()
	err := errors.Join(<-served, d.access.close())
	for _, a := range d.trying.Count().Added {
		heir.proxy.AddCount(proxy.CounterID(a.ID), a.N)
	}
	if err = errors.Join(err, d.close()); err != nil {
		heir.log.Warn("cannot close what the trial has used", "error", err)
	}
}

// filesOfOthers are open files that conns and flows hold which a new daemon is going to get.
func (d *daemon) filesOfOthers() (n int) {
	if d.before != nil { // whose flows count as flows
		n += d.before.FlowFiles()
	}
	if d.opt.heirOf != nil {
		n += d.opt.heirOf.proxy.Files().TCP.Held
	}
	return n
}
