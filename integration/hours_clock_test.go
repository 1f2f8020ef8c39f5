package integration

import (
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHoursOfSetClock sets the clock of the host into the hours of a route, out of them, and back: anyport follows
// at once, and does not wait for the time that it had expected. Only a machine of its own may do this: `make kernels`.
func TestHoursOfSetClock(t *testing.T) {
	if os.Getenv("ANYPORT_MAY_SET_CLOCK") == "" {
		t.Skip("ANYPORT_MAY_SET_CLOCK is not set")
	}
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	real, began := time.Now(), time.Now()
	set := func(to time.Time) {
		t.Helper()
		clock := unix.NsecToTimeval(to.UnixNano())
		if err := unix.Settimeofday(&clock); err != nil {
			t.Fatal(err)
		}
	}
	defer func() { set(real.Add(time.Since(began))) }() // Since goes by the monotonic clock
	day := time.Date(2027, 3, 28, 0, 0, 0, 0, time.UTC) // daylight saving begins at 01:00 UTC
	set(day.Add(time.Hour - time.Minute))
	r.edge.serveWith(t, `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.7"]
origins = ["10.0.0.5"]
active = ["03:00..04:00 Europe/Stockholm"]
`)
	is := func(when string, open bool) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s: open is %t", when, open), func() bool { return (r.client.admitted("192.0.2.7:4711") == nil) == open })
	}
	is("a minute before daylight saving begins, at 01:59", false)
	set(day.Add(time.Hour + time.Minute))
	is("a minute after, at 03:01", true)
	set(day.Add(2*time.Hour + time.Minute))
	is("set forward over the end", false)
	set(day.Add(time.Hour + 30*time.Minute))
	is("set back into the hours", true)
	set(day.Add(-24 * time.Hour))
	is("set back by a day, out of the hours", false)
	set(day.Add(2*time.Hour - 5*time.Second))
	is("five seconds before the end", true)
	is("after the end", false)
}
