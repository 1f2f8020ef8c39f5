package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/handover"
	"anyport/proxy"
	"anyport/proxy/tcp"
)

// A process on trial serves a share of the clients beside the one that it may replace later. It has a listener of its
// own, and gives its conns back when the trial ends: after that an upgrade is like any other. So what the old process
// holds is never divided between the two.

// shareTimeout is how long a process on trial may take for an answer before it is taken for lost. Package daemon takes
// new clients away from it much earlier.
const shareTimeout = 10 * time.Second

// ShareCounts is what a process on trial has counted.
type ShareCounts struct {
	Side  admin.TrialSide `json:"side"`  // since the trial began
	Added []Added         `json:"added"` // to its counters since the last ShareCounts
	Stuck int             `json:"stuck"` // event loops that have not turned since the last ShareCounts
}

// Added is how much a counter has grown.
type Added struct {
	ID proxy.CounterID `json:"id"`
	N  uint64          `json:"n"`
}

// prepared is the body of the message prepared of a process on trial; its listener is the file descriptor.
type prepared struct {
	Version string `json:"version"`
}

// Trial is a process on trial, as the one that serves sees it. Its methods may be called from any goroutine.
type Trial struct {
	Version string

	process *handover.Successor
	talk    sync.Mutex // held during a question and its answer
	broken  error      // the stream has failed, maybe within a message; guarded by talk
}

// StartTrial starts a process on trial. It returns the listener, of which the caller must keep no descriptor. The end of
// starting kills the process if it is not prepared yet.
func StartTrial(starting context.Context, offer func(send func(Offer) error) error, start Start) (t *Trial, listener int, err error) {
	process, err := handover.Start(start.Binary, start.Args, start.Parent, true)
	if err != nil {
		return nil, -1, err
	}
	prepared := context.AfterFunc(starting, func() { process.Kill() })
	t = &Trial{process: process}
	if listener, err = t.prepare(offer); err == nil && prepared() {
		return t, listener, nil
	}
	if listener >= 0 {
		unix.Close(listener)
	}
	if err != nil {
		err = endProcess(process, err)
	}
	if starting.Err() != nil {
		err = ErrCancelled
	}
	process.Kill()
	return nil, -1, errors.Join(err, process.Close())
}

var errNoShare = errors.New("the new binary is of a version that cannot serve a share of the clients: upgrade without --share")

// prepare makes the process open its listener and serve it.
func (t *Trial) prepare(offer func(send func(Offer) error) error) (listener int, err error) {
	if err := t.process.SetTimeout(Timeout); err != nil {
		return -1, err
	}
	if err := offer(func(o Offer) error { return o.send(t.process.Conn) }); err != nil {
		return -1, err
	}
	m, err := t.process.Expect(handover.Prepared)
	if err != nil {
		return -1, err
	}
	var p prepared
	if len(m.FDs) != 1 {
		m.CloseFDs()
		return -1, errNoShare
	}
	if err := m.Decode(&p); err != nil {
		m.CloseFDs()
		return -1, err
	}
	t.Version = p.Version
	return m.FDs[0], nil
}

// PID is its process id.
func (t *Trial) PID() int { return t.process.PID() }

// Ended is closed when it has ended.
func (t *Trial) Ended() <-chan struct{} { return t.process.Ended() }

// Kill kills it if it has not ended, and returns how it ended.
func (t *Trial) Kill() string {
	how := t.process.Kill()
	_ = t.process.Close()
	return how
}

// Hold has it hold another offer than that of StartTrial for the death of this process.
func (t *Trial) Hold(offer func(send func(Offer) error) error) error {
	t.talk.Lock()
	defer t.talk.Unlock()
	if err := t.process.SetTimeout(shareTimeout); err != nil {
		return err
	}
	t.broken = offer(func(o Offer) error { return o.sendAs(handover.Hold, t.process.Conn) })
	return t.broken
}

// Count asks what it has counted.
func (t *Trial) Count() (c ShareCounts, err error) {
	t.talk.Lock()
	defer t.talk.Unlock()
	defer func() { t.broken = err }()
	if err := t.process.SetTimeout(shareTimeout); err != nil {
		return c, err
	}
	if err := t.process.Send(handover.Count, nil); err != nil {
		return c, err
	}
	m, err := t.process.Expect(handover.Counted)
	if err != nil {
		return c, err
	}
	return c, m.Decode(&c)
}

// GiveBack ends the trial, once the kernel steers nothing to it any more: it calls adopt with the live conns, and
// returns how many there were, and what was counted in the end. After an error the rest stays there, and the process
// ends with the last of them.
func (t *Trial) GiveBack(adopt func([]tcp.Conn)) (n int, c ShareCounts, err error) {
	t.talk.Lock()
	defer t.talk.Unlock()
	defer t.process.Close()
	if t.broken != nil {
		return 0, c, t.broken
	}
	if err := t.process.SetTimeout(shareTimeout); err != nil {
		return 0, c, err
	}
	if err := t.process.Send(handover.GiveBack, nil); err != nil {
		return 0, c, err
	}
	for {
		m, err := t.process.Receive()
		if errors.Is(err, io.EOF) {
			err = errors.New("it has ended")
		}
		if err != nil {
			return n, c, err
		}
		switch m.Kind {
		case handover.Conns:
			conns, err := takeBatch(t.process.Conn, m)
			if err != nil {
				return n, c, err
			}
			adopt(conns)
			n += len(conns)
			if err := t.process.SetTimeout(Timeout); err != nil {
				return n, c, err
			}
		case handover.Counted:
			return n, c, m.Decode(&c)
		default:
			m.CloseFDs()
			return n, c, fmt.Errorf("unexpected message %q, want %q or %q", m.Kind, handover.Conns, handover.Counted)
		}
	}
}
