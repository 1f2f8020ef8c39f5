package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/upgrade"
	"anyport/config"
	"anyport/proxy"
	"anyport/proxy/route"
	"anyport/proxy/tcp"
	"anyport/proxy/udp"
	"anyport/steering"
)

// onTrial is what a process on trial has in place of the steering: it takes the TCP conns of a share of the clients, by
// listeners of its own. The process before (processTrial) keeps all else: the steering, the admin socket, UDP, what the
// service manager hears and keeps. It belongs to the goroutine of serveTrial and to that of the conversation.
type onTrial struct {
	*daemon
	listeners []int
	tally     *route.Tally
	reported  map[proxy.CounterID]uint64 // what the process before knows
	heir      steering.Heir              // of what that one has given to hold
	giving    atomic.Bool                // the conns go back, and then the counts
	passed    chan error                 // the outcome of passing the conns on to another daemon of this process
}

// openTrial opens what serving a share needs.
func (d *daemon) openTrial() error {
	c := d.opt.Config
	if fileHash(c) != d.before.File {
		return fmt.Errorf("%s has changed since it was loaded: load it with: anyport reload, before a process is on trial", c.Path)
	}
	g, err := prepare(c, 1, d.before.Listeners)
	if err != nil {
		return err
	}
	d.proxy = proxy.New(proxy.Options{Workers: c.Listen.Workers, Log: d.log, ReadFile: d.readSystemFile})
	d.proxy.SetRecording(d.recording(c.Log))
	if err := d.resolveNames(c); err != nil {
		return err
	}
	d.proxy.Try(g.table, c.Routes).Keep(g.table)
	d.proxy.RestoreOrigins(d.before.Origins)
	d.trying = &onTrial{daemon: d, tally: d.proxy.CountFrom(), reported: map[proxy.CounterID]uint64{}}
	d.trying.Held(d.before.FDs)
	if d.trying.listeners, err = steering.ListenForShare(c.Listen, d.log); err != nil {
		return err
	}
	d.closers = append(d.closers, d.trying.closeListeners)
	if err := steering.LimitSegments(d.trying.listeners, d.before.Segment); err != nil {
		return err
	}
	if err := d.divideFiles(); err != nil {
		return err
	}
	d.serving.Store(g)
	return d.openHours()
}

// Follow tells clients of new conns the same segment as the process before, and opens the access log again.
func (t *onTrial) Follow(segment int) {
	if err := errors.Join(steering.LimitSegments(t.listeners, segment), t.reopenAccess()); err != nil {
		t.log.Error("cannot follow the process before", "error", err)
	}
}

// closeListeners may be called twice.
func (t *onTrial) closeListeners() error {
	for _, fd := range t.listeners {
		unix.Close(fd)
	}
	t.listeners = nil
	return nil
}

// fileHash names the text of a file.
func fileHash(c *config.Config) string {
	sum := sha256.Sum256([]byte(c.Source()))
	return hex.EncodeToString(sum[:])
}

// serveTrial carries the traffic of the share until the process before ends the trial, and then until the last conn that
// it did not take has ended. If that process dies, it returns a daemon that serves in its place; where there can be none,
// live conns may end here, for up to their drain_timeout.
func (d *daemon) serveTrial(ctx context.Context) (heir *daemon, err error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(d.proxy.Loops() + 1))
	proxying, drain := context.WithCancel(context.Background())
	served, talked := make(chan error, 1), make(chan error, 1)
	go func() { served <- d.proxy.Serve(proxying, d.trying.listeners, nil) }() // ends with its last conn
	defer func() {
		if heir == nil {
			drain()
		}
	}()
	select {
	case <-d.proxy.Opened():
	case err := <-served:
		return nil, err
	}
	d.log.Info("serving a share of the conns", "version", d.opt.Version, "config", d.opt.Config.Path)
	go func() { talked <- d.before.ServeTrial(d.trying, d.opt.Version, d.trying.listeners[0]) }() // ended by the process before
	for ended := false; ; {
		select {
		case err := <-served:
			if !ended && d.trying.giving.Load() {
				<-talked // soon: the process before takes the counts, too
			}
			d.log.Info("trial ended")
			return nil, err
		case err := <-talked:
			if ended = true; err == nil {
				continue
			}
			died := d.before.Died()
			if died && d.opt.Manager.Listens() {
				d.log.Error("the process before has died: this one ends, too, or the service manager would not start another one", "conns_cut", d.proxy.Active())
				return nil, nil
			}
			if heir := d.takeOver(died); heir != nil {
				go d.leaveTrial(heir, drain, served) // ends with the last conn
				return heir, nil
			}
			d.warnTrial(err)
			drain()
		case <-d.hoursChange():
			d.applyHours()
		case sig := <-d.opt.Signals:
			if ended {
				return nil, nil
			}
			d.log.Info("a signal to a process on trial does nothing: end the trial with: anyport upgrade --all, or --back", "signal", sig.String())
		case <-ctx.Done():
			return nil, nil
		}
	}
}

// warnTrial says why this process serves no new conns.
func (d *daemon) warnTrial(err error) {
	if errors.Is(err, io.EOF) {
		err = errors.New("the process before has ended")
	}
	d.log.Warn("the trial has broken off: live conns may still end here", "because", err, "conns", d.proxy.Active())
}

// Count returns the side of this process, and what its counters have grown by since the last call.
func (t *onTrial) Count() (c upgrade.ShareCounts) {
	c.Side = trialSide(0, t.tally, config.TCP)
	c.Side.PID, c.Side.Version, c.Stuck = os.Getpid(), t.opt.Version, t.proxy.Stuck()
	t.proxy.EachCount(func(id proxy.CounterID, n uint64) {
		if before := t.reported[id]; n > before && !id.OfProcess() {
			c.Added = append(c.Added, upgrade.Added{ID: id, N: n - before})
			t.reported[id] = n
		}
	})
	return c
}

// GiveBack waits for handshakes that have begun here, and for the accept queues to become empty: nobody else has what is
// in them.
func (t *onTrial) GiveBack(give func([]tcp.Conn) error) error {
	t.giving.Store(true)
	over := make(chan struct{})
	t.drainAfterHandshakes(func() { close(over) })
	<-over
	for end := time.Now().Add(handshakeWait); time.Now().Before(end); time.Sleep(handshakePoll) {
		if n, err := steering.Waiting(t.listeners); n == 0 || err != nil {
			break
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), upgrade.Timeout)
	defer cancel()
	if err := t.proxy.HandOver(ctx, func([]udp.Flow) error { return nil }); err != nil {
		return err
	}
	return t.proxy.MoveConns(ctx, give)
}
