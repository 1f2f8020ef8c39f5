package integration

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hoursAround are hours that hold now, and neither begin nor end while a test runs.
func hoursAround(now time.Time) string {
	return fmt.Sprintf("%s..%s UTC", now.UTC().Add(-2*time.Hour).Format("15:04"), now.UTC().Add(2*time.Hour).Format("15:04"))
}

// TestHoursThroughout: routes in force serve and others refuse, through reloads, upgrades, drains and kills:
// by a route that forwards, by the socket of a service, and by one that asks for a knock first.
func TestHoursThroughout(t *testing.T) {
	t.Parallel()
	r, group, bpffs := newRig(t), newUnit(t), t.TempDir()
	if err := r.edge.Mount("bpf", bpffs); err != nil {
		t.Fatal(err)
	}
	r.origin.serve(t, "10.0.0.5:4711", echo)
	group.run(t, r.edge, "ncat", "-4lke", needTool(t, "cat"), "127.0.0.1", "7777")
	file := func(in, out string) string {
		text := fmt.Sprintf("[steering]\npin = %q\n", filepath.Join(bpffs, "anyport"))
		for i, active := range map[int]string{0: in, 10: out} {
			const route = "[route.%s-%d]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.%d\"]\nports = [4711]\nactive = [%q]\n"
			text += fmt.Sprintf(route+"origins = [\"10.0.0.5\"]\n", "forward", i, i+1, active)
			text += fmt.Sprintf(route+"origins = [\"10.0.0.5\"]\nknock = [%d, %d, %d]\nknock_window = \"1h\"\n", "knock", i, i+2, active, 7000+i, 8000+i, 9000+i)
			text += fmt.Sprintf(route+"action = \"socket\"\nservice = %q\n", "socket", i, i+3, active, group.name)
		}
		return text
	}
	in, out := hoursAround(time.Now()), "1999-12-31 UTC"
	p := r.edge.serveWith(t, file(in, out))
	p.expect(t, "a socket of a service takes packets")
	for i, first := range []int{7000, 7010} {
		for _, n := range []int{first, first + 1000, first + 2000} {
			if _, err := r.client.tryDial("tcp", "", fmt.Sprintf("192.0.2.%d:%d", 2+10*i, n)); outcome(err) != refused {
				t.Fatalf("knocking at port %d: %v", n, err)
			}
		}
	}
	check := func(when string, served, refusedHosts []int) {
		t.Helper()
		for _, host := range served {
			if err := r.client.admitted(fmt.Sprintf("192.0.2.%d:4711", host)); err != nil {
				t.Errorf("%s: 192.0.2.%d: %v", when, host, err)
			}
		}
		for _, host := range refusedHosts {
			if err := r.client.admitted(fmt.Sprintf("192.0.2.%d:4711", host)); outcome(err) != refused {
				t.Errorf("%s: 192.0.2.%d: %v, want it refused", when, host, err)
			}
		}
	}
	day, night := []int{1, 2, 3}, []int{11, 12, 13}
	check("after the start", day, night)
	f := newFamily(t, p)
	f.upgrade(t)
	check("after an upgrade", day, night)
	order(t, p, "drain --route forward-0")
	order(t, p, "drain --route forward-10")
	check("drained", []int{2, 3}, append([]int{1}, night...))
	order(t, p, "drain --undo --route forward-0")
	order(t, p, "drain --undo --route forward-10")
	check("not drained any more", day, night)

	p.write(t, file(out, in))
	if said := p.ask(t, "reload --dry-run").stdout; !strings.Contains(said, "active") || !strings.Contains(said, "1999-12-31") {
		t.Errorf("the diff does not tell the hours:\n%s", said)
	}
	order(t, p, "reload")
	check("after a reload that swaps the hours", night, day)
	f.upgrade(t)
	check("after another upgrade", night, day)
	if said := p.ask(t, "status").stdout; !strings.Contains(said, "route forward-0: not in force from now on") || !strings.Contains(said, "route forward-10: in force until ") {
		t.Errorf("status:\n%s", said)
	}
	if said := p.ask(t, "explain tcp 192.0.2.2:4711").stdout; !strings.Contains(said, "verdict: inactive") {
		t.Errorf("explain:\n%s", said)
	}

	last := f.pids[len(f.pids)-1]
	if err := syscall.Kill(last, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	f.gone(t, last)
	check("killed", []int{13}, []int{1, 2, 3, 11, 12})
	again := p.restart(t)
	check("after a new start", night, day)
	again.signal(t, syscall.SIGTERM)
	if status := again.wait(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
	check("stopped", []int{13}, []int{1, 2, 3, 11, 12})
	if status := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).wait(t); status != 0 {
		t.Errorf("unload ended with %d", status)
	}
}

// order runs a command that has to succeed.
func order(t *testing.T, p *proxy, line string) {
	t.Helper()
	if got := p.ask(t, line); got.status != 0 {
		t.Fatalf("%s: %+v", line, got)
	}
}

// TestHoursWithoutAnyport kills anyport before the end of a window: the service is served until then, and no longer. The next
// process does not open it.
func TestHoursWithoutAnyport(t *testing.T) {
	onlySoak(t)
	t.Parallel()
	r, group, bpffs := newRig(t), newUnit(t), t.TempDir()
	if err := r.edge.Mount("bpf", bpffs); err != nil {
		t.Fatal(err)
	}
	group.run(t, r.edge, "ncat", "-4lke", needTool(t, "cat"), "127.0.0.1", "7777")
	hours, end := hoursToMinute()
	p := r.edge.serveWith(t, fmt.Sprintf("[steering]\npin = %q\n[route.echo]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.7\"]\naction = \"socket\"\nservice = %q\nports = [7]\nactive = [%q]\n",
		filepath.Join(bpffs, "anyport"), group.name, hours))
	p.expect(t, "a socket of a service takes packets")
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
	if err := r.client.admitted("192.0.2.7:7"); err != nil && time.Now().Before(end) {
		t.Errorf("in time, with anyport killed: %v", err)
	}
	time.Sleep(time.Until(end.Add(time.Second)))
	closed := func(when string) {
		t.Helper()
		if err := r.client.admitted("192.0.2.7:7"); outcome(err) != refused {
			t.Errorf("%s: %v", when, err)
		}
	}
	closed("a second after the end, with anyport killed")
	again := p.restart(t)
	closed("after a new start")
	again.signal(t, syscall.SIGTERM)
	again.wait(t)
	closed("after the stop")
	if status := r.edge.spawn(t, exec.Command(program, "unload", "-c", p.file)).wait(t); status != 0 {
		t.Errorf("unload ended with %d", status)
	}
}

// hoursToMinute are hours that end with a minute of the clock, soon, but not before a test has begun.
func hoursToMinute() (hours string, end time.Time) {
	end = time.Now().UTC().Truncate(time.Minute).Add(time.Minute)
	if time.Until(end) < 20*time.Second { // time to start and to dial
		end = end.Add(time.Minute)
	}
	return fmt.Sprintf("%s..%s UTC", end.Add(-5*time.Minute).Format("15:04"), end.Format("15:04")), end
}
