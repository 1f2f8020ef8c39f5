package steering

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// upkeep is the state of keeping what the steering stands on. Steering.mu guards it.
type upkeep struct {
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

// stand begins with another table, whose ground is compared soon.
func (k *upkeep) stand(on *footing) {
	on.inherit(k.footing)
	k.footing, k.doubt, k.audited = on, true, time.Time{}
	if k.suspects == nil {
		k.suspects = suspects{}
	}
	maps.DeleteFunc(k.suspects, func(p netip.Prefix, _ uint32) bool { return !on.served.LookupPrefix(p) })
}

// reconcile puts back, before another table is put in service, what others have removed: what
// is to be changed is then as this process remembers it.
func (s *Steering) reconcile(now time.Time) error {
	if err := s.audit(now, 0); err != nil {
		return err
	}
	if len(s.keep.suspects) == 0 {
		return nil
	}
	return s.putBack(now)
}

// heed notes what the kernel has told.
func (s *Steering) heed(h hints) {
	device, _ := s.routes.device()
	s.keep.doubt = s.keep.doubt || h.all || h.links[s.routes.lo] || h.links[device]
	for p, by := range h.routes {
		switch {
		case s.routes.mine.Get(p):
			s.keep.suspects[p] = by
		case s.keep.concerns(p):
			s.keep.doubt = true
		}
	}
}

// audit compares with the kernel, if that is due.
func (s *Steering) audit(now time.Time, interval time.Duration) error {
	if now.Sub(s.keep.audited) < max(interval, auditShare*s.keep.took) {
		return nil
	}
	begun := time.Now()
	g, err := s.routes.readGround(s.keep.sources)
	if err != nil {
		return err
	}
	ours, theirs, others := s.keep.footing.lost(g, &s.routes.mine)
	s.keep.lost = others
	for _, p := range theirs {
		s.keep.lost = append(s.keep.lost, fmt.Sprintf("%s is not local any more: the route or address was another's", p))
	}
	missing := suspects{}
	for _, p := range ours {
		missing[p] = s.keep.suspects[p]
	}
	s.keep.suspects, s.keep.doubt = missing, false
	s.keep.audited, s.keep.took = now, time.Since(begun)
	return nil
}

// keepGround puts back what is ours and others have removed, and returns what else is missing.
func (s *Steering) keepGround(now time.Time, h hints) error {
	s.heed(h)
	if s.keep.quarrel.allows(now) {
		if err := s.restoreDevice(now); err != nil {
			return err
		}
	}
	interval := auditInterval
	if s.keep.doubt {
		interval = 0
	}
	if err := s.audit(now, interval); err != nil {
		return err
	}
	if len(s.keep.suspects) > 0 && s.keep.quarrel.allows(now) {
		if err := s.putBack(now); err != nil {
			return err
		}
	}
	if len(s.keep.lost) > 0 {
		return errors.New(strings.Join(s.keep.lost, "; "))
	}
	return nil
}

func (s *Steering) restoreDevice(now time.Time) error {
	restored, err := s.routes.restoreDevice()
	if !restored {
		return err
	}
	s.log.Error("somebody else has removed the network device of the local routes or set it down: both are there again", "device", s.routes.tun.name)
	s.quarrelled(now, "")
	for p := range s.routes.mine.All() {
		s.keep.suspects[p] = 0
	}
	return errors.Join(err, s.putBack(now))
}

// putBack adds the suspects that are missing.
func (s *Steering) putBack(now time.Time) error {
	back := suspects{}
	var failed []error
	for p, by := range s.keep.suspects {
		added, err := s.routes.putBack(p)
		if err != nil {
			failed = append(failed, err)
		} else {
			delete(s.keep.suspects, p)
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
		s.keep.restored += uint64(len(back))
		by := culprits(back)
		s.log.Warn("somebody else has removed local routes: they are there again",
			"first", back.first(), "routes", len(back), "by", by, "put_back_since_start", s.keep.restored)
		s.quarrelled(now, by)
	}
	return errors.Join(failed...)
}

// putBack adds a route, unless it is there.
func (l *localRoutes) putBack(p netip.Prefix) (added bool, err error) {
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
func (s *Steering) quarrelled(now time.Time, by string) {
	if s.keep.quarrel.note(now) {
		s.log.Warn("another program removes the local routes again and again: they are put back after a pause from now on, and meanwhile clients time out", "pause", quarrelPause, "by", by,
			"hint", fmt.Sprintf("have it leave routes of protocol %d alone; systemd-networkd: ManageForeignRoutes=no in networkd.conf", routeProtocol))
	}
}
