package integration

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// peerLoad is conns that stay, and conns that come and go.
type peerLoad struct {
	from *host
	long []*speaker

	ctx    context.Context
	stop   context.CancelFunc
	agents sync.WaitGroup
	asked  atomic.Int64

	mu     sync.Mutex
	faults []string // of the new conns
}

// newPeerLoad opens the conns that stay, half of them over IPv6.
func newPeerLoad(t *testing.T, from *host, long int) *peerLoad {
	t.Helper()
	return newPeerLoadAt(t, from, long, 500*time.Millisecond)
}

// newPeerLoadAt is newPeerLoad with a pace: the mean pause between two pieces.
func newPeerLoadAt(t *testing.T, from *host, long int, pace time.Duration) *peerLoad {
	t.Helper()
	l := &peerLoad{from: from}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for n := range long {
		conn, err := from.tryDial("tcp", "", talkAddress(n))
		if err != nil {
			t.Fatal(err)
		}
		l.long = append(l.long, hold(conn, uint64(n)<<32|1, pace, 0))
	}
	t.Cleanup(func() {
		l.stop()
		l.agents.Wait()
		for _, talk := range l.long {
			talk.hang()
		}
	})
	return l
}

// talkAddress is one of the served addresses, in turn IPv4 and IPv6.
func talkAddress(n int) string {
	if n%2 == 0 {
		return fmt.Sprintf("192.0.2.%d:%d", 1+n/2%250, talkPort)
	}
	return fmt.Sprintf("[2001:db8:1::%x]:%d", 1+n/2%1000, talkPort)
}

// churn opens conns, some a second, until the end. Each lasts for a few pieces.
func (l *peerLoad) churn(perSecond int) {
	const agents = 10
	for agent := range agents {
		l.agents.Go(func() { // ended by end
			l.from.do(func() {
				tick := time.NewTicker(time.Second * agents / time.Duration(perSecond))
				defer tick.Stop()
				for n := agent; ; n += agents {
					select {
					case <-l.ctx.Done():
						return
					case <-tick.C:
					}
					l.visit(n)
				}
			})
		})
	}
}

// visit opens one conn, on this thread, and follows it on another goroutine, which ends with the conn.
func (l *peerLoad) visit(n int) {
	l.asked.Add(1)
	conn, err := dialHere("tcp", "", talkAddress(n))
	if err != nil {
		l.fault("dial: %v", err)
		return
	}
	l.agents.Go(func() {
		conn.SetDeadline(time.Now().Add(2 * patience))
		talk := hold(conn, uint64(n)<<32|2, 20*time.Millisecond, 3)
		<-talk.done
		if talk.err != nil {
			l.fault("%s: %v", talk.name, talk.err)
		}
	})
}

func (l *peerLoad) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// lost are the conns that were lost until now, by the client's view.
func (l *peerLoad) lost() (faults []string) {
	for _, talk := range l.long {
		if err := talk.lost(); err != nil {
			faults = append(faults, fmt.Sprintf("long %s: %v", talk.name, err))
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return append(faults, l.faults...)
}

// clientsOf are the clients of the long conns that an edge has: some of them, but not all.
func (l *peerLoad) clientsOf(t *testing.T, e *peerEdge) map[string]bool {
	t.Helper()
	own := map[string]bool{}
	for _, client := range e.clients(t) {
		own[client] = true
	}
	if len(own) == 0 || len(own) == len(l.long) {
		t.Fatalf("%d of %d conns are of %s", len(own), len(l.long), e.Name)
	}
	return own
}

// settle waits until each conn that stays has moved on in both directions, or is lost, and some new ones
// have come and gone.
func (l *peerLoad) settle(t *testing.T) {
	t.Helper()
	type mark struct{ sent, heard int64 }
	marks, asked := make([]mark, len(l.long)), l.asked.Load()
	for n, talk := range l.long {
		marks[n] = mark{talk.sent.Load() + 1, talk.heard.Load()}
	}
	stalled := 0
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(20 * time.Millisecond) {
		stalled = 0
		for n, talk := range l.long {
			if talk.lost() == nil && (talk.acked.Load() < marks[n].sent || talk.heard.Load() == marks[n].heard) {
				stalled++
			}
		}
		if stalled == 0 && (l.asked.Load() > asked+20 || l.asked.Load() == 0) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d conns stand still, %d new ones since", stalled, len(l.long), l.asked.Load()-asked)
		}
	}
}

// end ends all conns and returns the faults of all.
func (l *peerLoad) end(t *testing.T) []string {
	t.Helper()
	l.stop()
	l.agents.Wait()
	for _, talk := range l.long {
		talk.hang()
	}
	for _, talk := range l.long {
		select {
		case <-talk.done:
		case <-time.After(2 * patience):
			t.Errorf("%s does not end", talk.name)
		}
	}
	return l.lost()
}

// expectNoneLost ends the load.
func (l *peerLoad) expectNoneLost(t *testing.T) {
	t.Helper()
	faults := l.end(t)
	for i, fault := range faults {
		if i == 10 {
			break
		}
		t.Error(fault)
	}
	t.Logf("%d conns that stay, %d that came and went, %d lost", len(l.long), l.asked.Load(), len(faults))
}
