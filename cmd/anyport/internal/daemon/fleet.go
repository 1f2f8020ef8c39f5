package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/follow"
	"anyport/cmd/anyport/internal/fleet/lasttable"
	"anyport/config"
)

// fleetPart is this host's part in a fleet whose source gives the tables. A goroutine of its own follows the
// source and offers tables; the goroutine that decides puts them into service as reloads. So a source that does
// not answer holds up nobody.
type fleetPart struct {
	follower *follow.Follower // nil: the routes are the file's
	offers   chan follow.Offer
	disk     *lasttable.Keeper
	taken    bool               // the table is that of the process before: it may not be on the disk
	leave    context.CancelFunc // ends the follower

	place, hostname string // of this process, for the reports

	wanted atomic.Pointer[follow.Offer] // the newest offer of another table than that in service; nil: none

	granted atomic.Int64 // when this host was last allowed to stop announcing, in ns since the epoch; 0: it announces

	// The goroutine that decides has these alone.
	retry *time.Timer   // until a refused table is tried again; nil: none was refused
	pause time.Duration // that it runs for

	mu    sync.Mutex
	state fleetState // any goroutine, with mu
}

// fleetState is what became of the offers.
type fleetState struct {
	serial  int64      // of the last pointer that was acted on
	refused fleet.Hash // the last table that was refused, unless another one came into service since; "": none
	why     string     // it was refused
	at      time.Time
	count   uint64 // refused tables so far, each attempt of the same table not counted again
}

// A refused table is tried again, since the reason may pass: a name that does not resolve, a port that another
// process has.
const (
	firstRetry   = 30 * time.Second
	longestRetry = 10 * time.Minute
)

// openFleet prepares to follow the source; watchFleet begins.
func (d *daemon) openFleet() error {
	if !d.opt.Config.FromSource() {
		return nil
	}
	if d.fleetGuard == nil {
		d.fleetGuard = inFleet{d}
	}
	f := &d.fleet
	f.offers = make(chan follow.Offer, 1)
	f.disk = lasttable.NewKeeper(d.opt.State, d.opt.Config.Path, d.log)
	f.place = follow.Place()
	f.hostname, _ = os.Hostname() // hostName has the error, where it matters
	host, err := hostName(d.opt.Config.Fleet)
	if err != nil {
		return err
	}
	f.follower = follow.New(follow.Options{
		Host: host,
		// The files of [fleet] are read again with each contact, those of the config in service.
		Open:    func() (follow.Source, error) { return follow.Open(d.serving.Load().config.Fleet) },
		Offer:   f.offer,
		Serving: func() fleet.Hash { return d.serving.Load().source },
		Report:  d.report,
		Log:     d.log,
	})
	return nil
}

// hostName is this host's name in the fleet.
func hostName(f config.Fleet) (string, error) {
	name, err := os.Hostname()
	if f.Host == "" && err != nil {
		return "", fmt.Errorf("this host's name: %w: write host = in [fleet]", err)
	}
	return cmp.Or(f.Host, name), nil
}

// watchFleet follows the source until this process ends, or another one serves. It returns what waits for the end.
func (d *daemon) watchFleet() (stop func()) {
	if d.fleet.follower == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.fleet.leave = cancel
	if d.fleet.taken {
		d.fleet.disk.Keep(d.serving.Load().config.TableText())
	}
	var follower sync.WaitGroup
	follower.Go(func() { d.fleet.follower.Run(ctx) }) // ends with ctx
	return func() {
		cancel()
		follower.Wait()
		d.fleet.disk.Wait()
	}
}

// offer keeps the newest offer for the goroutine that decides. Only the follower calls it.
func (f *fleetPart) offer(o follow.Offer) {
	select {
	case <-f.offers:
	default:
	}
	f.offers <- o
}

// tableOffers are the tables that this host ought to serve; nil during an upgrade, so that they wait for its end.
func (d *daemon) tableOffers() <-chan follow.Offer {
	if d.upgrading != nil {
		return nil
	}
	return d.fleet.offers
}

// tableRetry receives when a refused table is to be tried again.
func (d *daemon) tableRetry() <-chan time.Time {
	if d.fleet.retry == nil || d.upgrading != nil {
		return nil
	}
	return d.fleet.retry.C
}

// takeOffer begins to put another table into service.
func (d *daemon) takeOffer(o follow.Offer) {
	d.fleet.stopRetry()
	d.fleet.pause = 0
	if wanted := d.fleet.wanted.Load(); wanted != nil && wanted.Table != o.Table {
		d.fleet.wanted.Store(nil)
	}
	switch {
	case d.checkChangeable() != nil: // another process follows the source, or this one ends
	case o.Err != nil:
		d.refuseTable(&o, o.Err)
	case o.Table == d.serving.Load().source:
		d.fleet.wanted.Store(nil)
		d.fleet.settle(o.Serial)
	case o.Text == nil: // it was in service when it was offered, and another one came in between
		d.fleet.follower.OfferAgain()
	default:
		d.fleet.wanted.Store(&o)
		d.askTable()
	}
}

// retryTable tries a refused table once more.
func (d *daemon) retryTable() {
	d.fleet.stopRetry()
	if d.fleet.wanted.Load() != nil && d.checkChangeable() == nil {
		d.askTable()
	}
}

// stopRetry forgets the retry that is due.
func (f *fleetPart) stopRetry() {
	if f.retry != nil {
		f.retry.Stop()
		f.retry = nil
	}
}

// settle notes that the offered table is in service.
func (f *fleetPart) settle(serial int64) {
	f.mu.Lock()
	f.state.serial = max(f.state.serial, serial)
	f.state.refused, f.state.why = "", ""
	f.mu.Unlock()
	f.follower.ReportNow()
}

// refuseTable notes why an offer is not in service, and sets the time of another attempt.
func (d *daemon) refuseTable(o *follow.Offer, why error) {
	f := &d.fleet
	f.mu.Lock()
	again := f.state.refused == o.Table && f.state.why == why.Error()
	if f.state.refused != o.Table {
		f.state.count++
	}
	f.state.serial = max(f.state.serial, o.Serial)
	f.state.refused, f.state.why, f.state.at = o.Table, why.Error(), time.Now()
	f.mu.Unlock()
	f.follower.ReportNow()
	if !again {
		d.log.Error("table refused: the one before serves on", "table", o.Table.Short(), "serving", d.serving.Load().source.Short(), "problem", config.Summary(why))
	}
	if o.Err == nil && f.wanted.Load() != nil { // else the follower asks again
		f.pause = min(max(firstRetry, 2*f.pause), longestRetry)
		f.stopRetry()
		f.retry = time.NewTimer(f.pause)
	}
}

// tableServed notes that a table came into service, or that the file did with the table as before.
func (d *daemon) tableServed(o *follow.Offer, g *generation) {
	if d.fleet.follower == nil {
		return
	}
	if o != nil && o.Table == g.source {
		serial := o.Serial
		if wanted := d.fleet.wanted.Swap(nil); wanted != nil && wanted.Table == o.Table { // it may have been offered again
			serial = wanted.Serial
		}
		d.fleet.stopRetry()
		d.fleet.settle(serial)
	}
	d.fleet.disk.Keep(g.config.TableText())
}

// errDeadly is why a table is not tried again by itself.
var errDeadly = errors.New("anyport has died with this table and this file more than once: the table before serves on; after a change, anyport reload tries it again")
