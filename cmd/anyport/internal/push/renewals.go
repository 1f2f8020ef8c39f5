package push

import (
	"time"

	"anyport/cmd/anyport/internal/fleet"
)

// staleTime is how old a report may become that is there. A store whose disk is full keeps it with its lease, but
// takes no newer one: then nobody knows how the host serves.
const staleTime = fleet.LeaseTime + goneTime

// renewals are when reports were last seen to be other ones than before. The clocks of the hosts are not trusted to.
type renewals struct {
	seen   map[string]renewal // by host
	looked time.Time
}

type renewal struct {
	written time.Time // by the host's clock
	at      time.Time // by that of the push
}

// look notes reports. After a while without a look, as while the store is away, each has its whole time again.
func (n *renewals) look(reports []fleet.Report, now time.Time) {
	if n.seen == nil || now.Sub(n.looked) >= goneTime {
		n.seen = map[string]renewal{}
	}
	n.looked = now
	for _, r := range reports {
		if last, known := n.seen[r.Host]; !known || !last.written.Equal(r.Written) {
			n.seen[r.Host] = renewal{r.Written, now}
		}
	}
}

// stale reports whether the report of a host is an old one.
func (n *renewals) stale(host string, now time.Time) bool {
	last, known := n.seen[host]
	return known && now.Sub(last.at) >= staleTime
}
