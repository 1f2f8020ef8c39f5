package tcp

import (
	"testing"
	"time"
	"unsafe"
)

// setBack is t as it was noted before the clock was set forward by an hour: its monotonic part stays. See
// the comment of time.Time for the layout: above 30 bits of nanoseconds are the seconds.
func setBack(t time.Time) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) -= 3600 << 30
	return t
}

// TestClockSet sets the clock by an hour: the age that another process reckons of what moves there, by
// the clock alone, is right.
func TestClockSet(t *testing.T) {
	l := &loop{started: setBack(time.Now().Add(-time.Minute))}
	if age := time.Now().Round(0).Sub(l.wallTime(0).Round(0)); age < time.Minute || age > 10*time.Minute {
		t.Errorf("what began a minute ago is %v old", age)
	}
}

// TestClockSetMeanwhile sets the clock by an hour after this process began, and before it takes over what
// another one tells by the clock as it is then.
func TestClockSetMeanwhile(t *testing.T) {
	l := &loop{started: setBack(time.Now().Add(-time.Minute))}
	if at := l.sinceStart(time.Now().Add(-2 * time.Minute).Round(0)); at > -time.Minute+time.Second || at < -10*time.Minute {
		t.Errorf("what began a minute before this process is put at %v of its time", at)
	}
}
