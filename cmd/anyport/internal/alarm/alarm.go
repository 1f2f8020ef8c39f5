package alarm

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Alarm is a timerfd of CLOCK_REALTIME. It goes off when its time has come, also while the host was suspended
// at that time, and whenever the clock was set. Its methods may be called from any goroutine.
type Alarm struct {
	file *os.File
	rang chan struct{} // has room for one
}

// New makes an alarm without a time. The caller owes one Close, which ends its goroutine.
func New() (*Alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	a := &Alarm{os.NewFile(uintptr(fd), "timerfd"), make(chan struct{}, 1)}
	if err := a.Set(time.Time{}); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	go a.wait()
	return a, nil
}

// Rang receives after the alarm went off: once for any number of times. A nil Alarm never goes off.
func (a *Alarm) Rang() <-chan struct{} {
	if a == nil {
		return nil
	}
	return a.rang
}

// farAway is set in the place of no time: a timer that is not set is not told of the clock, either.
var farAway = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)

// Set replaces the time at which the alarm goes off; with the zero time, only if the clock is set. A time
// in the past is now.
func (a *Alarm) Set(at time.Time) error {
	if at.IsZero() || at.After(farAway) {
		at = farAway
	}
	// TFD_TIMER_CANCEL_ON_SET: read returns ECANCELED when the clock jumps (since Linux 3.0).
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(at.UnixNano(), 1))}
	raw, err := a.file.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &spec, nil)
	}); err != nil {
		return err
	}
	if set != nil && !errors.Is(set, unix.ECANCELED) { // the clock was set before: the timer is set now
		return fmt.Errorf("set the alarm: %w", os.NewSyscallError("timerfd_settime", set))
	}
	return nil
}

// wait is the goroutine that New starts. It ends with Close.
func (a *Alarm) wait() {
	var expirations [8]byte
	for {
		_, err := a.file.Read(expirations[:])
		if err != nil && !errors.Is(err, unix.ECANCELED) {
			return
		}
		select {
		case a.rang <- struct{}{}:
		default:
		}
	}
}

// Close ends the alarm.
func (a *Alarm) Close() error { return a.file.Close() }
