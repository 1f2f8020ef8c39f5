package alarm_test

import (
	"testing"
	"time"

	"anyport/cmd/anyport/internal/alarm"
)

// patience is longer than a busy machine takes.
const patience = 30 * time.Second

func newAlarm(t *testing.T) *alarm.Alarm {
	t.Helper()
	a, err := alarm.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func set(t *testing.T, a *alarm.Alarm, at time.Time) {
	t.Helper()
	if err := a.Set(at); err != nil {
		t.Fatal(err)
	}
}

// TestAlarm: it goes off at its time, not before, and again after it was set again.
func TestAlarm(t *testing.T) {
	a := newAlarm(t)
	for _, after := range []time.Duration{100 * time.Millisecond, -time.Hour, 50 * time.Millisecond} {
		at := time.Now().Add(after)
		set(t, a, at)
		select {
		case <-a.Rang():
			if early := time.Until(at); early > 0 {
				t.Errorf("%v too early", early)
			}
		case <-time.After(patience):
			t.Fatalf("set to %v from now, and silent", after)
		}
	}
}

// TestNoTime: without a time, and with one far away, it stays silent.
func TestNoTime(t *testing.T) {
	a := newAlarm(t)
	for _, at := range []time.Time{{}, time.Now().Add(time.Hour), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)} {
		set(t, a, at)
		select {
		case <-a.Rang():
			t.Errorf("set to %v, and it went off", at)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
