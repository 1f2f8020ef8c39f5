package flow_test

import (
	"testing"
	"time"
	"unsafe"

	"anyport/proxy/flow"
)

// setBack is t as it was read before the clock was set forward by an hour: its monotonic part stays.
// See the comment of time.Time for the layout: above 30 bits of nanoseconds are the seconds.
func setBack(t time.Time) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) -= 3600 << 30
	return t
}

// TestClockSet sets the clock by an hour: the age that another process computes of a flow, from the
// clock only, is right.
func TestClockSet(t *testing.T) {
	l := newTestLoop(1, live(to(originAddr), dst1), func(opt *flow.Options) { opt.Epoch = setBack(time.Now().Add(-time.Minute)) })
	l.datagram(flow.KeyOf(client1, dst1), 1, 0)
	begun := l.moving(0)[0].Begun
	if age := time.Now().Round(0).Sub(begun.Round(0)); age < time.Minute || age > 10*time.Minute {
		t.Errorf("what began a minute ago is %v old", age)
	}
}

// TestClockSetMeanwhile sets the clock by an hour after this process began, and before it restores a
// flow that another one describes by the clock as it is then.
func TestClockSetMeanwhile(t *testing.T) {
	l := newTestLoop(1, live(to(originAddr), dst1), func(opt *flow.Options) { opt.Epoch = setBack(time.Now().Add(-time.Minute)) })
	begun := time.Now().Add(-2 * time.Minute).Round(0)
	l.adopt(flow.Moving{Client: client1, Dst: dst1, Route: "test", Origin: originAddr, Begun: begun, Last: begun})
	deadline, _ := l.NextDeadline()
	if at := deadline - time.Hour; at > -time.Minute+time.Second || at < -10*time.Minute { // its route has an idle timeout of an hour
		t.Errorf("what began a minute before this process is put at %v of its time", at)
	}
}
