package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/knock"
	"anyport/cmd/anyport/internal/slowfs"
	"anyport/config"
	"anyport/proxy"
	"anyport/steering"
)

// doorbell is what the daemon has for authenticated knocks. The loops put datagrams into rung;
// answerKnocks judges them on its own goroutine, so that no loop waits for a hash or for the steering.
type doorbell struct {
	rung   chan knockDatagram
	counts map[knock.Verdict]*atomic.Uint64 // of all processes; the map itself never changes
	loaded chan struct{}                    // another file is in service, which may have sequences
}

// each yields the counters for the next process.
func (b *doorbell) each(yield func(proxy.CounterID, uint64)) {
	for verdict, n := range b.counts {
		yield(proxy.CounterID{Key: keyKnocks + string(verdict)}, n.Load())
	}
}

// add adds what another process has counted. It ignores a verdict that it does not know.
func (b *doorbell) add(verdict knock.Verdict, n uint64) {
	if c := b.counts[verdict]; c != nil {
		c.Add(n)
	}
}

// knockDatagram is a copy of what arrived.
type knockDatagram struct {
	client netip.Addr
	text   []byte
}

// mostRung is how many datagrams may wait. The kernel passes table.DoorbellRate a second.
const mostRung = 256

func newDoorbell() doorbell {
	b := doorbell{make(chan knockDatagram, mostRung), map[knock.Verdict]*atomic.Uint64{}, make(chan struct{}, 1)}
	for _, v := range knock.Verdicts {
		b.counts[v] = new(atomic.Uint64)
	}
	return b
}

// ring is called by the event loops with datagrams of no flow. It keeps a copy of those that knock.
func (d *daemon) ring(client, dst netip.AddrPort, datagram []byte) bool {
	g := d.serving.Load()
	if g == nil || int(dst.Port()) != g.config.Knock.Port || !g.table.IsDoorbell(dst) {
		return false
	}
	if len(datagram) > knock.Longest {
		d.doorbell.counts[knock.Malformed].Add(1)
		return true
	}
	select {
	case d.doorbell.rung <- knockDatagram{client.Addr().Unmap(), slices.Clone(datagram)}:
	default:
		d.doorbell.counts[knock.Overflow].Add(1)
	}
	return true
}

// answerKnocks opens doors, until ctx is done. It logs each that it opens, and of the others at most
// one line a second for what is authentic, and none for what is not: these are only counted.
func (d *daemon) answerKnocks(ctx context.Context) {
	var quiet time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case k := <-d.doorbell.rung:
			now := time.Now()
			m, verdict, err := d.answerKnock(k, now)
			d.doorbell.counts[verdict].Add(1)
			switch {
			case verdict == knock.Opened:
				d.log.Info("opened a door", "route", m.Route, "client", m.Client, "key", m.Key)
			case verdict == knock.Malformed || verdict == knock.Unsigned || now.Before(quiet):
			default:
				quiet = now.Add(time.Second)
				args := []any{"verdict", verdict, "route", m.Route, "key", m.Key, "from", k.client}
				if err != nil {
					args = append(args, "error", err)
				}
				d.log.Log(ctx, levelOf(verdict), "refused a knock", args...)
			}
		}
	}
}

// levelOf is error where the fault is ours.
func levelOf(v knock.Verdict) slog.Level {
	if v == knock.Failed {
		return slog.LevelError
	}
	return slog.LevelWarn
}

// answerKnock judges a datagram and opens its door.
func (d *daemon) answerKnock(k knockDatagram, now time.Time) (knock.Message, knock.Verdict, error) {
	g := d.serving.Load()
	m, verdict := knock.Judge(k.text, k.client, g.keys, now)
	if verdict != knock.Opened {
		return m, verdict, nil
	}
	fresh, err := d.steering.ClaimNonce(m.Nonce, m.Time, now)
	switch {
	case err != nil:
		return m, knock.Failed, err
	case !fresh:
		return m, knock.Replayed, nil
	}
	i := slices.IndexFunc(g.config.Routes, func(r *config.Route) bool { return r.Name == m.Route && r.Knock.SPA() })
	if i < 0 {
		return m, knock.NoDoor, nil
	}
	if err := d.steering.OpenDoor(g.config.Routes[i], m.Client); err != nil {
		return m, knock.Failed, err
	}
	return m, knock.Opened, nil
}

// readKeys reads the keys of knocks, if a route needs them.
func (d *daemon) readKeys(c *config.Config) (knock.Keys, error) {
	if !c.TakesKnocks() {
		return nil, nil
	}
	path := c.Knock.Keys
	keys, err := slowfs.Do(d.slow, "read "+path, func() (knock.Keys, error) { return knock.ReadKeys(path) })
	if err != nil {
		return nil, fmt.Errorf("[knock] keys: %w", err)
	}
	return keys, nil
}

// doorStatus lists the open doors, none if the kernel cannot be asked.
func (d *daemon) doorStatus(now time.Time) (doors []admin.Door) {
	open, err := d.steering.Doors()
	if err != nil {
		d.log.Debug("cannot list the open doors", "error", err)
	}
	return doorsUntil(open, now)
}

func doorsUntil(open []steering.Door, now time.Time) (doors []admin.Door) {
	for _, o := range open {
		doors = append(doors, admin.Door{Route: o.Route, Client: o.Client.String(), Until: now.Add(o.Left).Round(time.Second)})
	}
	return doors
}

// knockCounts has the verdicts that were counted at least once.
func (d *daemon) knockCounts() map[string]uint64 {
	counts := map[string]uint64{}
	for verdict, n := range d.doorbell.counts {
		if n := n.Load(); n > 0 {
			counts[string(verdict)] = n
		}
	}
	return counts
}
