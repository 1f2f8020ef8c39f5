package origin

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/proxy/health"
)

func TestClassOf(t *testing.T) {
	for _, test := range []struct {
		err   error
		class string
		errno unix.Errno
	}{
		{unix.ECONNREFUSED, "refused", unix.ECONNREFUSED},
		{fmt.Errorf("nobody there: %w", unix.ECONNREFUSED), "refused", unix.ECONNREFUSED},
		{unix.ETIMEDOUT, "timeout", unix.ETIMEDOUT},
		{unix.ENETUNREACH, "unreachable", unix.ENETUNREACH},
		{unix.EHOSTUNREACH, "unreachable", unix.EHOSTUNREACH},
		{unix.EACCES, "unreachable", unix.EACCES}, // ICMPv6 "administratively prohibited"
		{unix.ECONNRESET, "reset", unix.ECONNRESET},
		{unix.EADDRNOTAVAIL, "local", unix.EADDRNOTAVAIL},
		{ErrNoAddress, "dns", 0},
		{errors.New("anything else"), "local", 0},
	} {
		if class, errno := ClassOf(test.err); class.String() != test.class || errno != test.errno {
			t.Errorf("%v is %v, %v, want %s, %v", test.err, class, errno, test.class, test.errno)
		}
	}
	for c := range ErrorClasses {
		if again := ParseErrorClass(c.String()); again != c || c != NoError && c.String() == "" {
			t.Errorf("class %d, %q, is read as %d", c, c, again)
		}
	}
	if c := ParseErrorClass("of a later version"); c != NoError {
		t.Errorf("a word that is not known is %v", c)
	}
}

// dials notes n failed dials of o, a second apart from each other, and returns what is logged.
func (p *Pool) dials(o *Origin, n int, class ErrorClass, port uint16, at *time.Time) (log string) {
	for range n {
		*at = at.Add(time.Second)
		_, alarm := p.DialFailed(o, Failure{Port: port, Class: class, Errno: unix.ECONNREFUSED, Began: at.Add(-time.Millisecond)}, *at)
		log += logged(alarm)
	}
	return log
}

// logged is the line of an alarm.
func logged(alarms ...*Alarm) string {
	var out bytes.Buffer
	for _, a := range alarms {
		a.Log(slog.New(slog.NewTextHandler(&out, nil)))
	}
	return out.String()
}

// TestFailureInRow: since when an origin fails, by the dials since the last success. A single origin of
// a route is never ejected, and its failures count all the same.
func TestFailureInRow(t *testing.T) {
	p, at := single(pool(config.First, 1)), noon
	a := p.Origins[0]
	p.dials(a, 2, ErrorTimeout, 80, &at)
	p.dials(a, 1, ErrorRefused, 80, &at)
	last, failing := a.LastFailure(config.TCP)
	if !failing || last.Class != ErrorRefused || last.Errno != unix.ECONNREFUSED || last.InRow != 3 || last.Since != noon.Add(time.Second) || last.At != at {
		t.Errorf("after 3 failures: %+v, failing %v", last, failing)
	}
	if a.Refusals(config.TCP) != 3 || a.Errors(ErrorTimeout) != 2 || a.Errors(ErrorRefused) != 1 {
		t.Errorf("counted %d failed dials, %d timeouts, %d refusals", a.Refusals(config.TCP), a.Errors(ErrorTimeout), a.Errors(ErrorRefused))
	}
	p.Succeeded(a, config.TCP, at)
	a.Mention(Failure{Class: ErrorReset}, at)
	if last, failing := a.LastFailure(config.TCP); failing || last.Class != ErrorReset {
		t.Errorf("after a success and a reset: %+v, failing %v", last, failing)
	}
	p.dials(a, 1, ErrorRefused, 80, &at)
	if last, failing := a.LastFailure(config.TCP); !failing || last.InRow != 1 || last.Since != at {
		t.Errorf("after one failure more: %+v, failing %v", last, failing)
	}
	if last, failing := a.LastFailure(config.UDP); last != nil || failing {
		t.Errorf("over UDP: %+v, failing %v", last, failing)
	}
	p.dials(a, 5, ErrorRefused, 80, &at)
	a.SetChecked(true, "test", at)
	if a.SetChecked(false, "test", at); a.failures(config.TCP).fails() {
		t.Errorf("it fails, though its checks pass again")
	}
}

// TestAlarm: one line once all origins of a route fail, and one when an origin serves again; also over a
// reload. Origins that get nothing new by an order do not matter.
func TestAlarm(t *testing.T) {
	p, at := single(pool(config.First, 1, 1, 0)), noon
	p.route.Name = "test"
	if log := p.dials(p.Origins[0], 9, ErrorTimeout, 80, &at) + p.dials(p.Origins[1], health.DialsToEject-1, ErrorTimeout, 80, &at); log != "" {
		t.Errorf("logged while an origin may work: %s", log)
	}
	if log := p.dials(p.Origins[1], 1, ErrorRefused, 80, &at); !strings.Contains(log, "level=WARN msg=\"all origins of a route fail: see anyport status\" route=test protocol=tcp origin=") ||
		!strings.Contains(log, "error=refused in_a_row=3") {
		t.Errorf("logged %q", log)
	}
	if since, ok := p.AllFailSince(config.TCP); !ok || since != at {
		t.Errorf("all fail since %v, %v", since, ok)
	}
	p = single(NewPool(p.route, p))
	p.Origins[2].SetWeight(0)
	at = at.Add(time.Hour)
	if log := p.dials(p.Origins[0], 9, ErrorTimeout, 80, &at); log != "" {
		t.Errorf("logged again after a reload: %s", log)
	}
	if log := logged(p.Succeeded(p.Origins[1], config.TCP, at)); !strings.Contains(log, "level=INFO msg=\"an origin serves again, after all origins of the route have failed\"") || !strings.Contains(log, "after=1h0m9s") {
		t.Errorf("logged %q", log)
	}
	if _, ok := p.AllFailSince(config.TCP); ok || logged(p.Succeeded(p.Origins[0], config.TCP, at)) != "" {
		t.Error("it is not over, or is over twice")
	}
}

// TestAlarmIsQuiet: however often all origins fail and serve again, there is one warning in alarmQuiet at
// most, and each has its end.
func TestAlarmIsQuiet(t *testing.T) {
	p, at := single(pool(config.First, 1)), noon
	warned, ended := 0, 0
	const times = 1000
	for range times {
		at = at.Add(100 * time.Millisecond)
		var log string
		for range health.DialsToEject {
			_, alarm := p.DialFailed(p.Origins[0], Failure{Port: 80, Class: ErrorTimeout, Began: at}, at)
			log += logged(alarm)
		}
		log += logged(p.Succeeded(p.Origins[0], config.TCP, at))
		warned += strings.Count(log, "level=WARN")
		if ended += strings.Count(log, "level=INFO"); warned != ended {
			t.Fatalf("%d warnings and %d ends:\n%s", warned, ended, log)
		}
		if warned == 2 && ended == 2 && strings.Contains(log, "WARN") && !strings.Contains(log, "warnings_omitted=99") {
			t.Errorf("the second warning does not say how many were left out:\n%s", log)
		}
	}
	if most := int(times * 100 * time.Millisecond / alarmQuiet); warned != most {
		t.Errorf("%d warnings, want %d", warned, most)
	}
}

// TestScanIsNoAlarm: of origins with many ports, a scan of closed ports says nothing, but a port that
// clients come back to does.
func TestScanIsNoAlarm(t *testing.T) {
	p, at := pool(config.First, 1), noon
	for port := range uint16(1000) {
		if log := p.dials(p.Origins[0], 1, ErrorRefused, 1000+port, &at); log != "" {
			t.Fatalf("a scan of %d ports: %s", port+1, log)
		}
	}
	if log := p.dials(p.Origins[0], health.DialsToEject, ErrorRefused, 22, &at); !strings.Contains(log, "all origins of a route fail") {
		t.Errorf("a port that is refused %d times: %q", health.DialsToEject, log)
	}
}

// TestAlarmOfChecks: origins that are down by their checks fail, and serve again once a check passes.
func TestAlarmOfChecks(t *testing.T) {
	p, at := single(pool(config.First, 1, 1)), noon
	p.route.Protocols = []config.Protocol{config.TCP}
	p.Origins[0].SetChecked(true, "test", at)
	if log := logged(p.ChecksChanged(at)...); log != "" {
		t.Errorf("one is down: %s", log)
	}
	p.Origins[1].SetChecked(true, "test", at)
	if log := logged(p.ChecksChanged(at)...); strings.Count(log, "level=WARN") != 1 {
		t.Errorf("all are down: %q", log)
	}
	p.Origins[1].SetChecked(false, "test", at)
	if log := logged(p.ChecksChanged(at)...); strings.Count(log, "level=INFO") != 1 {
		t.Errorf("one is up: %q", log)
	}
}

// TestRestoredAlarm: the next process does not log what this one has, but logs its end.
func TestRestoredAlarm(t *testing.T) {
	p, next, at := single(pool(config.First, 1)), single(pool(config.First, 1)), noon
	next.route.Protocols = []config.Protocol{config.TCP}
	p.dials(p.Origins[0], 5, ErrorTimeout, 80, &at)
	last, failing := p.Origins[0].LastFailure(config.TCP)
	next.Origins[0].RestoreFailure(config.TCP, *last, failing)
	next.RestoreAlarms()
	if log := next.dials(next.Origins[0], 5, ErrorTimeout, 80, &at); log != "" {
		t.Errorf("logged again: %s", log)
	}
	if now, _ := next.Origins[0].LastFailure(config.TCP); now.Since != last.Since || now.InRow != 10 {
		t.Errorf("it fails since %v, %d times, want %v and 10", now.Since, now.InRow, last.Since)
	}
	if log := logged(next.Succeeded(next.Origins[0], config.TCP, at)); !strings.Contains(log, "level=INFO") {
		t.Errorf("logged %q at its end", log)
	}
}
