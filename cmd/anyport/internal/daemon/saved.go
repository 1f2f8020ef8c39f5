package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/knock"
	"anyport/cmd/anyport/internal/saved"
	"anyport/proxy"
)

// saver keeps this process's counters and the operators' orders in memory that outlives it where the
// steering does. Its zero value keeps nothing. Its methods may be called from any goroutine.
type saver struct {
	mu       sync.Mutex
	book     *saved.Book // nil: nothing is kept
	replaced bool        // another process serves and absorbs what others have counted
	failing  string      // the last error, so that the log has each once
}

// saveInterval is the time between two saves that nobody asks for: what is lost at most if the process is
// killed, of counters that nobody has seen.
const saveInterval = time.Second

// saveShare bounds the time that saves take with very many routes, as a divisor of all time.
const saveShare = 50

// openSaved continues with what a process before has saved. It comes before anything is served.
func (d *daemon) openSaved() {
	d.adoptDrops(nil)
	memory, err := d.steering.Saved()
	if err != nil {
		d.log.Warn("counters and orders are not kept for the next process", "because", err)
		return
	}
	book, found, err := saved.Open(memory, os.Getpid(), alive)
	if err != nil {
		d.log.Warn("counters and orders are not kept for the next process", "because", err)
		return
	}
	if found.Problem != nil {
		d.log.Warn("some of what another process has saved cannot be read: its counters begin at zero", "problem", found.Problem)
	}
	d.saver.mu.Lock()
	d.saver.book = book
	d.saver.mu.Unlock()
	d.closers = append(d.closers, func() error { d.save(true); return nil })
	d.adoptDrops(found.Counts)
	d.pullCounters()
	if id, err := d.steering.ProgramID(); err == nil {
		d.kernel.restore(found.Counts, id)
	}
	if d.incoming == nil { // else the offer of the process before had the orders
		d.restoreOrders(found.Orders)
	}
	d.save(false)
}

// alive reports whether there is a process of that number. It may be another one than the one that is
// meant, whose page then is absorbed later.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// restoreOrders forces the states on origins that operators have ordered before a crash.
func (d *daemon) restoreOrders(text []byte) {
	if len(text) == 0 {
		return
	}
	var orders proxy.OriginStates
	if err := json.Unmarshal(text, &orders); err != nil {
		d.log.Warn("the orders that another process has saved cannot be read", "problem", err)
		return
	}
	d.proxy.RestoreOrigins(orders)
	for route, origins := range d.proxy.OriginOrders() {
		for address, order := range origins {
			d.log.Warn("restored an order of an operator", "route", route, "origin", address, "state", order.Forced, "since", order.Since.Round(time.Second), "hint", "anyport origin ready "+route+"/"+address)
		}
	}
}

// pullCounters adds what other processes, and the kernel at the listeners, have counted since the last
// time.
func (d *daemon) pullCounters() {
	s := &d.saver
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replaced {
		return
	}
	if s.book != nil {
		s.book.Pull(d.addCounter)
	}
	d.countDrops()
}

// left are the processes that upgrades have replaced, and that still have conns or flows.
func (d *daemon) left() (all []admin.Left) {
	d.pullCounters()
	s := &d.saver
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.book == nil || s.replaced {
		return nil
	}
	others := s.book.Others(proxy.CounterID{Key: keyLive})
	for _, pid := range slices.Sorted(maps.Keys(others)) {
		all = append(all, admin.Left{PID: pid, ConnsActive: others[pid]})
	}
	return all
}

// save saves what is counted now. After last nothing more is saved.
func (d *daemon) save(last bool) {
	s := &d.saver
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.book == nil {
		return
	}
	orders, err := json.Marshal(d.proxy.OriginOrders())
	full := false
	if err == nil {
		full, err = s.book.Save(d.eachCounter, orders, last)
	}
	if full && err == nil {
		err = errors.New("they have no room: the rest begins at zero after a restart or an upgrade")
	}
	why := ""
	if err != nil {
		why = err.Error()
	}
	if why != s.failing && why != "" {
		d.log.Warn("some counters are not kept for the next process", "problem", why)
	}
	s.failing = why
	if last {
		s.book = nil
	}
}

// Counters of the whole process, by their keys.
const (
	keyLogLost    = "process/log_lost"
	keyAccessLost = "process/access_log_lost"
	keyRestored   = "process/routes_restored"

	keyLive = "=process/live" // conns and flows: the value of one process, not of all

	keyAcceptOverflows = "process/accept_overflows"
	keyKnocks          = "process/knocks/" // and a verdict
)

// earlier is what processes before this one have counted of these.
type earlier struct{ logLost, accessLost, routesRestored atomic.Uint64 }

func (e *earlier) of(key string) *atomic.Uint64 {
	return map[string]*atomic.Uint64{keyLogLost: &e.logLost, keyAccessLost: &e.accessLost, keyRestored: &e.routesRestored}[key]
}

// addCounter adds what another process has counted.
func (d *daemon) addCounter(id proxy.CounterID, n uint64) {
	verdict, knocks := strings.CutPrefix(id.Key, keyKnocks)
	switch c := d.earlier.of(id.Key); {
	case id.Route == "" && c != nil:
		c.Add(n)
	case id.Route == "" && knocks:
		d.doorbell.add(knock.Verdict(verdict), n)
	case id.Route == "" && id.Key == keyAcceptOverflows:
		d.drops.tcp.Add(n)
	default:
		d.proxy.AddCount(id, n)
	}
}

// eachCounter yields the counters that go on in the next process.
func (d *daemon) eachCounter(yield func(proxy.CounterID, uint64)) {
	lost := d.logStatus()
	yield(proxy.CounterID{Key: keyLogLost}, lost.Lost)
	yield(proxy.CounterID{Key: keyAccessLost}, lost.AccessLost)
	yield(proxy.CounterID{Key: keyRestored}, d.earlier.routesRestored.Load()+d.steering.RestoredRoutes())
	yield(proxy.CounterID{Key: keyLive}, uint64(max(0, d.proxy.Active())))
	d.drops.each(yield)
	d.doorbell.each(yield)
	d.proxy.EachCount(yield)
	d.kernel.each(yield)
}

// keepSaving pulls and saves each second, until ctx ends.
func (d *daemon) keepSaving(ctx context.Context) {
	d.noteKernelCounters()
	wait := saveInterval
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		begun := time.Now()
		d.pullCounters()
		d.save(false)
		wait = max(saveInterval, saveShare*time.Since(begun))
	}
}

// leaveSaved is called when another process is about to serve: from then on this one only saves what it
// counts itself, and the other absorbs it. All that anybody has seen is saved then. Where the other one
// has switched the program in the kernel, what the former one has counted is saved, too.
func (d *daemon) leaveSaved(replaced, switched bool) {
	if switched { // its own program does not count any more
		d.noteKernelCounters()
	}
	d.saver.mu.Lock()
	if !d.saver.replaced { // the other one goes on from here
		d.countDrops()
	}
	d.saver.replaced = replaced
	d.saver.mu.Unlock()
	d.save(false)
}

// noteKernelCounters reads what the kernel has counted, for the next process.
func (d *daemon) noteKernelCounters() {
	if counters, err := d.steering.Counters(); err == nil {
		d.kernel.add(counters)
	}
}
