package follow

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/web"
)

// The pauses between attempts to reach the source.
const (
	firstPause   = 500 * time.Millisecond
	longestPause = 5 * time.Second
	fetchTimeout = 2 * time.Minute
)

// Options say what to follow.
type Options struct {
	Host string                 // this host's name in the fleet
	Open func() (Source, error) // called for each contact

	// Offer is called with each table that this host ought to serve, on the follower's goroutine: it must not wait
	// for the table to come into service. The same table comes again with each new serial.
	Offer func(Offer)

	Serving func() fleet.Hash   // the table in service: its text is not fetched again
	Report  func() fleet.Report // what to report; any goroutine

	Log *slog.Logger
}

// Offer is a table that this host ought to serve.
type Offer struct {
	Wanted
	Text []byte // nil: it is what Serving has named, or Err says why there is none
	Err  error  // the source names it, but does not have it
}

// Follower follows one source. Run is its goroutine; the other methods may be called by any.
type Follower struct {
	opt  Options
	kick chan struct{} // asks for a report now

	mu      sync.Mutex
	status  Status
	member  fleet.Membership // nil: the host has not joined
	offered Wanted           // last, with a text
	taken   bool             // another host reports under this one's name, or a process has that was killed
	leave   bool             // Run's end removes the report
}

// New makes a follower, which does nothing before Run.
func New(opt Options) *Follower {
	return &Follower{opt: opt, kick: make(chan struct{}, 1), leave: true}
}

// Run keeps the contact until ctx is done.
func (f *Follower) Run(ctx context.Context) {
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, longestPause) {
		contact := false
		err := f.session(ctx, func() { contact, pause = true, firstPause })
		if ctx.Err() != nil {
			return
		}
		f.lost(err, contact)
		select {
		case <-ctx.Done():
		case <-time.After(max(pause/2+rand.N(pause), retryAfter(err))):
		}
	}
}

// retryAfter is how long the server asks to wait; 0: it does not.
func retryAfter(err error) time.Duration {
	status := new(web.StatusError)
	if errors.As(err, &status) {
		return status.Wait
	}
	return 0
}

// session is one contact, from its begin to its loss. It calls contact when the source has answered.
func (f *Follower) session(ctx context.Context, contact func()) error {
	source, err := f.opt.Open()
	if err != nil {
		return err
	}
	defer source.Close()
	ctx, cancel := context.WithCancel(ctx)
	var reporter sync.WaitGroup
	defer reporter.Wait() // before the source is closed: it removes the report
	defer cancel()
	reporter.Go(func() { f.report(ctx, source) }) // ends with ctx
	return source.Watch(ctx, f.opt.Host, func(w Wanted) {
		contact()
		f.reached()
		f.offer(ctx, source, w)
	})
}

// offer offers a table that was not offered yet with this serial. What cannot be fetched is offered with the reason
// once, and is asked for again at the next sign of the contact.
func (f *Follower) offer(ctx context.Context, source Source, w Wanted) {
	f.mu.Lock()
	before, failed := f.offered, f.status.FetchProblem != ""
	f.status.Wanted = w
	f.mu.Unlock()
	if w.Table == "" || w == before && !failed {
		return
	}
	o := Offer{Wanted: w}
	if w.Table != f.opt.Serving() {
		fetching, cancel := context.WithTimeout(ctx, fetchTimeout)
		o.Text, o.Err = source.Text(fetching, w.Table)
		cancel()
		if o.Text == nil && o.Err == nil {
			o.Text = []byte{} // of an empty table
		}
	}
	if ctx.Err() != nil {
		return
	}
	f.mu.Lock()
	f.offered, f.status.FetchProblem = w, ""
	if o.Err != nil {
		f.status.FetchProblem = o.Err.Error()
	}
	f.mu.Unlock()
	if o.Err == nil || w != before {
		f.opt.Offer(o)
	}
}

// OfferAgain has the table that this host ought to serve offered at the next sign of the contact, though it was before.
func (f *Follower) OfferAgain() {
	f.mu.Lock()
	f.offered = Wanted{}
	f.mu.Unlock()
}

// reached notes an answer of the source.
func (f *Follower) reached() {
	f.mu.Lock()
	was := f.status.Up
	f.status.Up, f.status.Contact, f.status.Problem = true, time.Now(), ""
	f.mu.Unlock()
	if !was {
		f.opt.Log.Info("the source of the table is reached")
	}
}

// lost notes the end of a contact, or an attempt without one. The log hears of a change of state, not of each attempt.
func (f *Follower) lost(err error, had bool) {
	if err == nil {
		err = errors.New("the contact has ended")
	}
	f.mu.Lock()
	say := had || f.status.Problem == ""
	f.status.Up, f.status.Problem = false, err.Error()
	f.mu.Unlock()
	if say {
		f.opt.Log.Warn("cannot reach the source of the table: what is in service serves on", "problem", err)
	}
}
