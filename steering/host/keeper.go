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

	"anyport/config"
	"anyport/steering/table"

	"golang.org/x/sys/unix"
)

// Keeper keeps what the local routes stand on: it compares that with the kernel, and puts back
// what others have removed. It belongs to a Steering, whose mutex guards it.
type Keeper struct {
	routes *LocalRoutes
	log    *slog.Logger

	*footing // nil before the first table
	suspects suspects
	doubt    bool     // everything is to be compared with the kernel
	lost     []string // what others have removed and is not ours to put back, or cannot be
	restored uint64   // local routes that were put back
	quarrel  quarrel

	audited time.Time
	took    time.Duration // the last comparison
}

// Comparisons with the kernel list all local routes: of a million that takes seconds, so they
// take a fiftieth of the time at most. The kernel tells of nearly all changes; auditInterval is
// for what it did not tell.
const auditInterval, auditShare = 10 * time.Second, 50

// Serve begins with another table, whose ground is compared soon.
func (k *Keeper) Serve(cfg *config.Config, asked *table.Table) {
	on := newFooting(cfg, asked)
	on.inherit(k.footing)
	k.footing, k.doubt, k.audited = on, true, time.Time{}
	maps.DeleteFunc(k.suspects, func(p netip.Prefix, _ uint32) bool { return !on.served.LookupPrefix(p) })
}

// RestoreNow puts back, before another table is put in service, what others have removed: what
// is to be changed is then as this process remembers it.
func (k *Keeper) RestoreNow(now time.Time) error {
	if err := k.Compare(now, 0); err != nil {
		return err
	}
	if len(k.suspects) == 0 {
		return nil
	}
	return k.putBack(now)
}

// heed notes what the kernel has told.
func (k *Keeper) heed(h Changes) {
	device, _ := k.routes.Device()
	k.doubt = k.doubt || h.all || h.links[k.routes.lo] || h.links[device]
	for p, by := range h.routes {
		switch {
		case k.routes.mine.Get(p):
			k.suspects[p] = by
		case k.concerns(p):
			k.doubt = true
		}
	}
}

// Compare compares with the kernel, if that is due.
func (k *Keeper) Compare(now time.Time, interval time.Duration) error {
	if now.Sub(k.audited) < max(interval, auditShare*k.took) {
		return nil
	}
	begun := time.Now()
	g, err := k.routes.readGround(k.sources)
	if err != nil {
		return err
	}
	ours, theirs, others := k.footing.lost(g, &k.routes.mine)
	k.lost = others
	for _, p := range theirs {
		k.lost = append(k.lost, fmt.Sprintf("%s is not local any more: the route or address was another's", p))
	}
	missing := suspects{}
	for _, p := range ours {
		missing[p] = k.suspects[p]
	}
	k.suspects, k.doubt = missing, false
	k.audited, k.took = now, time.Since(begun)
	return nil
}

// Restore puts back what is ours and others have removed, and returns what else is missing.
func (k *Keeper) Restore(now time.Time, h Changes) error {
	k.heed(h)
	if k.quarrel.allows(now) {
		if err := k.restoreDevice(now); err != nil {
			return err
		}
	}
	interval := auditInterval
	if k.doubt {
		interval = 0
	}
	if err := k.Compare(now, interval); err != nil {
		return err
	}
	if len(k.suspects) > 0 && k.quarrel.allows(now) {
		if err := k.putBack(now); err != nil {
			return err
		}
	}
	if len(k.lost) > 0 {
		return errors.New(strings.Join(k.lost, "; "))
	}
	return nil
}

func (k *Keeper) restoreDevice(now time.Time) error {
	restored, err := k.routes.restoreDevice()
	if !restored {
		return err
	}
	k.log.Error("somebody else has removed the network device of the local routes or set it down: both are there again", "device", k.routes.tun.name)
	k.quarrelled(now, "")
	for p := range k.routes.mine.All() {
		k.suspects[p] = 0
	}
	return errors.Join(err, k.putBack(now))
}

// putBack adds the suspects that are missing.
func (k *Keeper) putBack(now time.Time) error {
	back := suspects{}
	var failed []error
	for p, by := range k.suspects {
		added, err := k.routes.putBack(p)
		if err != nil {
			failed = append(failed, err)
		} else {
			delete(k.suspects, p)
		}
		if added {
			back[p] = by
		}
		if len(failed) == mostNamed { // a million of them are not tried every second
			break
		}
	}
	slices.SortFunc(failed, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) }) // Watch tells changes
	if len(back) > 0 {
		k.restored += uint64(len(back))
		by := culprits(back)
		k.log.Warn("somebody else has removed local routes: they are there again",
			"first", back.first(), "routes", len(back), "by", by, "put_back_since_start", k.restored)
		k.quarrelled(now, by)
	}
	return errors.Join(failed...)
}

// putBack adds a route, unless it is there.
func (l *LocalRoutes) putBack(p netip.Prefix) (added bool, err error) {
	err = l.handle.RouteAdd(l.route(p))
	switch {
	case err == nil:
		return true, nil
	case !errors.Is(err, unix.EEXIST):
		return false, l.failed("put back", p, err)
	case l.delivered(p.Addr()) != "":
		return false, fmt.Errorf("another route has the place of ours: ip route show table local %s", p)
	}
	return false, nil
}

// quarrelled notes that something was put back.
func (k *Keeper) quarrelled(now time.Time, by string) {
	if k.quarrel.note(now) {
		k.log.Warn("another program removes the local routes again and again: they are put back after a pause from now on, and meanwhile clients time out", "pause", quarrelPause, "by", by,
			"hint", fmt.Sprintf("have it leave routes of protocol %d alone; systemd-networkd: ManageForeignRoutes=no in networkd.conf", RouteProtocol))
	}
}

func NewKeeper(routes *LocalRoutes, log *slog.Logger) *Keeper {
	return &Keeper{routes: routes, log: log, suspects: suspects{}}
}

// RestoredRoutes is how many local routes were put back.
func (k *Keeper) RestoredRoutes() uint64 { return k.restored }
