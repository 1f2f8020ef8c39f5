package resolve

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options are what a Resolver needs.
type Options struct {
	Read    func(path string) ([]byte, error) // reads a file of the system; it must return in bounded time even if the file is on a mount that hangs; nil: there are no such files
	Changed func()                            // called after the targets of a name have changed, on the goroutine of Run or Resolve; may be nil
	Log     *slog.Logger

	exchange exchange         // nil: overNetwork
	now      func() time.Time // nil: time.Now
}

// Resolver keeps the answers of names up to date. Its methods may be called from any goroutine.
type Resolver struct {
	opt Options

	mu       sync.Mutex
	files    systemFiles
	cache    cache
	names    map[Name]bool   // in service, or about to be
	answers  map[Name]Answer // of names that were asked to the end at least once
	complain map[Name]string // the failure that the log has

	due chan struct{} // has an element if names or files have changed since Run last looked
}

// New makes a Resolver that knows no names yet.
func New(opt Options) *Resolver {
	if opt.Read == nil {
		opt.Read = func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	}
	if opt.exchange == nil {
		opt.exchange = overNetwork
	}
	if opt.now == nil {
		opt.now = time.Now
	}
	if opt.Changed == nil {
		opt.Changed = func() {}
	}
	return &Resolver{
		opt:   opt,
		cache: cache{}, names: map[Name]bool{}, answers: map[Name]Answer{}, complain: map[Name]string{},
		due: make(chan struct{}, 1),
	}
}

// Answer returns what is known of a name. It asks nobody.
func (r *Resolver) Answer(n Name) Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answers[n]
}

// Resolve adds names, and returns when each of them has an answer or has failed, or when ctx is done.
// A name that is known already needs no question.
func (r *Resolver) Resolve(ctx context.Context, names []Name) {
	if len(names) == 0 {
		return
	}
	r.readFiles()
	began := r.opt.now()
	r.mu.Lock()
	for _, n := range names {
		r.names[n] = true
	}
	r.mu.Unlock()
	r.keepAsking(ctx, nil, func() bool { return r.settled(names) })
	r.giveUp(names, r.opt.now().Sub(began))
	r.wake() // Run has to ask for them when their TTL ends
}

// Keep drops all names but these.
func (r *Resolver) Keep(names []Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = map[Name]bool{}
	for _, n := range names {
		r.names[n] = true
	}
	gone := func(n Name) bool { return !r.names[n] }
	maps.DeleteFunc(r.answers, func(n Name, _ Answer) bool { return gone(n) })
	maps.DeleteFunc(r.complain, func(n Name, _ string) bool { return gone(n) })
	r.wake()
}

// Run keeps the answers up to date until ctx is done.
func (r *Resolver) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx) // both goroutines end with ctx
	group.Go(func() error { r.watchFiles(ctx); return nil })
	group.Go(func() error { r.keepAsking(ctx, r.due, func() bool { return false }); return nil })
	return group.Wait()
}

// maxAsking is the number of questions that are asked at once.
const maxAsking = 16

// outcome is what asking a question has led to.
type outcome struct {
	question question
	reply    reply
	server   string
	err      error
}

// keepAsking asks what is due until done or the end of ctx, and looks again at once after something from
// wakes. A slow server delays only the questions that it is asked.
func (r *Resolver) keepAsking(ctx context.Context, wakes <-chan struct{}, done func() bool) {
	ctx, cancel := context.WithCancel(ctx)
	outcomes := make(chan outcome, maxAsking)
	asking := map[question]bool{}
	var askers sync.WaitGroup // each ends with its answer, or with ctx
	defer askers.Wait()
	defer cancel()
	for {
		due, next := r.update()
		if done() {
			return
		}
		for _, q := range due {
			if !asking[q] && len(asking) < maxAsking {
				asking[q] = true
				askers.Go(func() { outcomes <- r.ask(ctx, q) })
			}
		}
		timer := time.NewTimer(max(0, next.Sub(r.opt.now())))
		select {
		case o := <-outcomes:
			delete(asking, o.question)
			if ctx.Err() == nil {
				r.note(o)
			}
		case <-timer.C:
		case <-wakes:
		case <-ctx.Done():
			return
		}
		timer.Stop()
	}
}

func (r *Resolver) ask(ctx context.Context, q question) outcome {
	r.mu.Lock()
	s := r.files.settings
	r.mu.Unlock()
	reply, server, err := ask(ctx, s, q, r.opt.exchange)
	return outcome{q, reply, server, err}
}

// note puts an outcome into the cache.
func (r *Resolver) note(o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.err != nil {
		r.cache.fail(o.question, o.err, r.opt.now())
		return
	}
	r.cache.store(o.question, o.reply, o.server, r.opt.now())
}

// update publishes the answers that are whole, and returns the questions that are due, and when the
// next ones are.
func (r *Resolver) update() (due []question, next time.Time) {
	r.mu.Lock()
	now := r.opt.now()
	next = now.Add(maxTTL)
	changed, used := false, map[question]bool{}
	for n := range r.names {
		c := composer{settings: r.files.settings, hosts: r.files.hosts, cache: r.cache, now: now, used: used}
		last := r.answers[n]
		answer := c.compose(n, last)
		if len(c.missing) > 0 {
			due = append(due, c.missing...)
			continue
		}
		if answer.Until.Before(next) {
			next = answer.Until
		}
		r.answers[n] = answer
		changed = changed || !sameTargets(last.Targets, answer.Targets)
		r.logAnswer(n, last, answer)
	}
	if len(due) == 0 { // otherwise more may be used once those are answered
		r.cache.keep(used)
	}
	r.mu.Unlock()
	if changed {
		r.opt.Changed()
	}
	return due, next
}

// settled reports whether each of names was asked to the end.
func (r *Resolver) settled(names []Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !slices.ContainsFunc(names, func(n Name) bool { _, known := r.answers[n]; return !known })
}

// giveUp gives names that were not asked to the end an answer that says so.
func (r *Resolver) giveUp(names []Name, after time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range names {
		if _, known := r.answers[n]; !known {
			r.answers[n] = Answer{Err: fmt.Errorf("%s: no answer from %v within %v", n, r.files.settings.servers, after.Round(time.Second))}
		}
	}
}

// logAnswer logs a failure when it begins and when it ends, and changes of the targets.
func (r *Resolver) logAnswer(n Name, last, next Answer) {
	text := ""
	if next.Err != nil {
		text = next.Err.Error()
	}
	switch {
	case text != "" && r.complain[n] == "":
		r.opt.Log.Warn("cannot resolve a name", "name", n.String(), "addresses_kept", texts(next.Targets), "error", text)
	case text == "" && r.complain[n] != "":
		r.opt.Log.Info("a name resolves again", "name", n.String(), "addresses", texts(next.Targets), "server", next.Server)
	case !sameTargets(last.Targets, next.Targets):
		r.opt.Log.Info("a name has other addresses", "name", n.String(), "addresses", texts(next.Targets), "before", texts(last.Targets), "server", next.Server)
	}
	r.complain[n] = text
}

// wake makes the goroutine of Run look again.
func (r *Resolver) wake() {
	select {
	case r.due <- struct{}{}:
	default:
	}
}
