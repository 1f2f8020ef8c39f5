package integration

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestHours checks the end of a window: the kernel closes it within a second, with the process stopped by
// SIGSTOP. What is open then goes on or is reset, as on_inactive says. A window ends with a minute of the
// clock, so the test waits for one, without using the processor.
func TestHours(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	hours, end := hoursToMinute()
	p := r.edge.serveWith(t, fmt.Sprintf(`
[route.kept]
protocol = "tcp"
prefixes = ["192.0.2.7"]
origins = ["10.0.0.5"]
active = [%[1]q]
[route.cut]
protocol = "tcp"
prefixes = ["192.0.2.8"]
origins = ["10.0.0.5"]
active = [%[1]q]
on_inactive = "close"
`, hours))
	kept, cut := netip.MustParseAddrPort("192.0.2.7:4711"), netip.MustParseAddrPort("192.0.2.8:4711")
	keptConn, cutConn := r.client.dial(t, "tcp", kept.String()), r.client.dial(t, "tcp", cut.String())
	talk(t, keptConn, "in time")
	talk(t, cutConn, "in time")

	p.signal(t, syscall.SIGSTOP)
	time.Sleep(time.Until(end.Add(time.Second)))
	for _, dst := range []netip.AddrPort{kept, cut} {
		if got := r.client.ask("tcp", dst, refused); got != refused {
			t.Errorf("a new conn to %s a second after the end, with the process stopped: %s", dst, got)
		}
	}
	p.signal(t, syscall.SIGCONT)
	for _, conn := range []net.Conn{keptConn, cutConn} { // the wait was longer than what dial allows
		conn.SetDeadline(time.Now().Add(patience))
	}
	if _, err := cutConn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("on_inactive = close: the client saw %v, want the end of its conn", err)
	}
	talk(t, keptConn, "after the end")
	for _, dst := range []netip.AddrPort{kept, cut} {
		if got := r.client.ask("tcp", dst, refused); got != refused {
			t.Errorf("a new conn to %s after the end: %s", dst, got)
		}
	}
	p.expect(t, "a route is not in force any more", "route=kept")
	if got := p.ask(t, "explain tcp "+kept.String()).stdout; !strings.Contains(got, "verdict: inactive\n") || !strings.Contains(got, `kernel: inactive by route "kept"`+"\n") {
		t.Errorf("explain:\n%s", got)
	}
	before := end.Add(-time.Minute).Format(time.RFC3339)
	if got := p.ask(t, "explain tcp "+kept.String()+" --at "+before).stdout; !strings.Contains(got, "verdict: steer\n") {
		t.Errorf("explain --at %s:\n%s", before, got)
	}
}

// TestHoursOfReload checks reloads that begin and end the time of a route, over both protocols.
func TestHoursOfReload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	file := func(active string) string {
		return fmt.Sprintf(`
[route.both]
protocol = ["tcp", "udp"]
prefixes = ["192.0.2.7"]
origins = ["10.0.0.5"]
active = [%q]
on_inactive = "close"
[route.flows]
protocol = "udp"
prefixes = ["192.0.2.8"]
origins = ["10.0.0.5"]
active = [%[1]q]
`, active)
	}
	const always, never = "00:00..24:00", "1999-12-31"
	p := r.edge.serveWith(t, file(always))
	both := netip.MustParseAddrPort("192.0.2.7:4711")
	conn, flow, kept := r.client.dial(t, "tcp", both.String()), r.client.dial(t, "udp", both.String()), r.client.dial(t, "udp", "192.0.2.8:4711")
	talk(t, conn, "in time")
	trade(t, flow, "in time")
	trade(t, kept, "in time")

	p.write(t, file(never))
	p.signal(t, syscall.SIGHUP)
	p.expect(t, "msg=reloaded", "generation=2")
	if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client saw %v, want the end of its conn", err)
	}
	for _, protocol := range []string{"tcp", "udp"} {
		if got := r.client.ask(protocol, both, refused); got != refused {
			t.Errorf("%s out of time: %s", protocol, got)
		}
	}
	if got := trade(t, kept, "goes on"); got != "origin goes on" {
		t.Errorf("a flow with on_inactive = keep was answered %q", got)
	}
	if got := r.client.ask("udp", netip.MustParseAddrPort("192.0.2.8:4711"), silent); got != silent {
		t.Errorf("a new flow beside the kept one: %s", got)
	}

	if got := p.ask(t, "status").stdout; !strings.Contains(got, "route both: not in force from now on") {
		t.Errorf("status:\n%s", got)
	}
	p.write(t, file(always))
	if got := p.ask(t, "reload"); got.status != 0 {
		t.Fatalf("reload: %+v", got)
	}
	talk(t, r.client.dial(t, "tcp", both.String()), "in time again")
}
