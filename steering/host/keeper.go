package host

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering/table"
)

// Keeper has the kernel keep the local routes: it compares what should be there with what is,
// puts back what other programs remove, and reports what it cannot put back. It has no
// goroutine: Steering.Watch calls Restore when the monitor reports changes, and once a second.
// It belongs to a Steering, whose mutex guards it.
type Keeper struct {
	routes *LocalRoutes
	log    *slog.Logger

	*baseline                  // nil before the first table
	absent       missingRoutes // own routes that may be missing
	mustCompare  bool          // a change may concern anything: compare everything
	unrestorable []string      // what others have removed and this process must not or cannot put back
	restored     uint64        // local routes that were put back
	backoff      restoreBackoff

	comparedAt  time.Time
	compareTook time.Duration // the last comparison
}

// Comparisons with the kernel list all local routes: of a million that takes seconds, so they
// take a fiftieth of the time at most. The kernel reports nearly all changes; compareInterval
// is for the others.
const compareInterval, compareShare = 10 * time.Second, 50

// Serve takes another table: its prefixes are what has to stay local from now on.
func (k *Keeper) Serve(cfg *config.Config, asked *table.Table) {
	on := newBaseline(cfg, asked)
	on.continueFrom(k.baseline)
	k.baseline, k.mustCompare, k.comparedAt = on, true, time.Time{}
	maps.DeleteFunc(k.absent, func(p netip.Prefix, _ uint32) bool { return !on.served.LookupPrefix(p) })
}

// RestoreNow puts back what others have removed. A reload calls it first, because the changes to
// the routes are computed from what this process remembers.
func (k *Keeper) RestoreNow(now time.Time) error {
	if err := k.Compare(now, 0); err != nil {
		return err
	}
	if len(k.absent) == 0 {
		return nil
	}
	return k.restoreRoutes(now)
}

// note takes down where the kernel reports changes.
func (k *Keeper) note(h Changes) {
	device, _ := k.routes.Device()
	k.mustCompare = k.mustCompare || h.all || h.links[k.routes.lo] || h.links[device]
	for p, by := range h.routes {
		switch {
		case k.routes.own.Get(p):
			k.absent[p] = by
		case k.dependsOn(p):
			k.mustCompare = true
		}
	}
}

// Compare compares with the kernel if interval has passed since the last time.
func (k *Keeper) Compare(now time.Time, interval time.Duration) error {
	if now.Sub(k.comparedAt) < max(interval, compareShare*k.compareTook) {
		return nil
	}
	begun := time.Now()
	g, err := k.routes.readState(k.sources)
	if err != nil {
		return err
	}
	ours, theirs, others := k.baseline.compare(g, &k.routes.own)
	k.unrestorable = others
	for _, p := range theirs {
		k.unrestorable = append(k.unrestorable, fmt.Sprintf("%s is not local any more: the route or address belonged to another program", p))
	}
	missing := missingRoutes{}
	for _, p := range ours {
		missing[p] = k.absent[p]
	}
	k.absent, k.mustCompare = missing, false
	k.comparedAt, k.compareTook = now, time.Since(begun)
	return nil
}

// Restore puts back what is ours and others have removed, and returns what else is missing.
func (k *Keeper) Restore(now time.Time, h Changes) error {
	k.note(h)
	if k.backoff.allows(now) {
		if err := k.restoreDevice(now); err != nil {
			return err
		}
	}
	interval := compareInterval
	if k.mustCompare {
		interval = 0
	}
	if err := k.Compare(now, interval); err != nil {
		return err
	}
	if len(k.absent) > 0 && k.backoff.allows(now) {
		if err := k.restoreRoutes(now); err != nil {
			return err
		}
	}
	if len(k.unrestorable) > 0 {
		return errors.New(strings.Join(k.unrestorable, "; "))
	}
	return nil
}

// restoreDevice makes the device again or sets it up, and then adds all routes again, which the
// kernel has removed with it.
func (k *Keeper) restoreDevice(now time.Time) error {
	restored, err := k.routes.restoreDevice()
	if !restored {
		return err
	}
	k.log.Error("somebody else has removed the network device of the local routes or set it down: both are there again", "device", k.routes.tun.name)
	k.recordRestore(now, "")
	for p := range k.routes.own.All() {
		k.absent[p] = 0
	}
	return errors.Join(err, k.restoreRoutes(now))
}

// restoreRoutes adds the absent routes.
func (k *Keeper) restoreRoutes(now time.Time) error {
	back := missingRoutes{}
	var failed []error
	for p, by := range k.absent {
		added, err := k.routes.restore(p)
		if err != nil {
			failed = append(failed, err)
		} else {
			delete(k.absent, p)
		}
		if added {
			back[p] = by
		}
		if len(failed) == maxNamed { // a million of them are not tried every second
			break
		}
	}
	slices.SortFunc(failed, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) }) // Watch logs changes of this text
	if len(back) > 0 {
		k.restored += uint64(len(back))
		by := removers(back)
		k.log.Warn("somebody else has removed local routes: they are there again",
			"first", back.first(), "routes", len(back), "by", by, "put_back_since_start", k.restored)
		k.recordRestore(now, by)
	}
	return errors.Join(failed...)
}

// restore adds a route, unless it is there.
func (l *LocalRoutes) restore(p netip.Prefix) (added bool, err error) {
	err = l.handle.RouteAdd(l.route(p))
	switch {
	case err == nil:
		return true, nil
	case !errors.Is(err, unix.EEXIST):
		return false, l.routeError("put back", p, err)
	case l.delivered(p.Addr()) != "":
		return false, fmt.Errorf("another route has the place of ours: ip route show table local %s", p)
	}
	return false, nil
}

// recordRestore counts a restore, and warns once when it happens too often.
func (k *Keeper) recordRestore(now time.Time, by string) {
	if k.backoff.record(now) {
		k.log.Warn("another program keeps removing local routes: from now on each is restored after a pause, and its clients time out meanwhile", "pause", backoffPause, "by", by,
			"hint", fmt.Sprintf("have it leave routes of protocol %d alone; systemd-networkd: ManageForeignRoutes=no in networkd.conf", RouteProtocol))
	}
}

// NewKeeper returns the keeper of routes, which log what they restore to log.
func NewKeeper(routes *LocalRoutes, log *slog.Logger) *Keeper {
	return &Keeper{routes: routes, log: log, absent: missingRoutes{}}
}

// RestoredRoutes is how many local routes were put back.
func (k *Keeper) RestoredRoutes() uint64 { return k.restored }
