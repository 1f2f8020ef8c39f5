package steering

import (
	"net/netip"
	"testing"
	"time"

	"anyport/config"
	"anyport/config/hours"
	"anyport/steering/bpfmaps"
	"anyport/steering/internal/tabletest"
	"anyport/steering/table"
)

// knownHours are schedules that a line of Go decides, too.
var knownHours = []struct {
	text     string
	contains func(t time.Time) bool // t is in UTC
}{
	{"00:00..24:00 UTC", func(time.Time) bool { return true }},
	{"1999-12-31 UTC", func(time.Time) bool { return false }},
	{"Mon..Fri 08:00..18:00 UTC", func(t time.Time) bool {
		return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && t.Hour() >= 8 && t.Hour() < 18
	}},
	{"22:00..06:00 UTC", func(t time.Time) bool { return t.Hour() >= 22 || t.Hour() < 6 }},
	{"Sat,Sun UTC", func(t time.Time) bool { return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday }},
	{"*-*-1..15 12:30..12:31 UTC", func(t time.Time) bool { return t.Day() <= 15 && t.Hour() == 12 && t.Minute() == 30 }},
}

// scheduled gives r this schedule.
func scheduled(r *config.Route, text string) {
	e, err := hours.Parse(text)
	if err != nil {
		panic(err)
	}
	r.Active = hours.Schedule{e}
	r.OnInactive = config.CloseConns
}

// schedule gives some of the routes hours, and returns who decides.
func schedule(d tabletest.Dice, cfg *config.Config) map[*config.Route]func(time.Time) bool {
	contains := map[*config.Route]func(time.Time) bool{}
	for _, r := range cfg.Routes {
		if d.IntN(4) == 0 {
			continue
		}
		h := knownHours[d.IntN(len(knownHours))]
		scheduled(r, h.text)
		contains[r] = h.contains
		r.Inactive = []config.Action{config.Refuse, config.Drop}[d.IntN(2)]
		r.OnInactive = []config.OnDown{config.KeepConns, config.CloseConns}[d.IntN(2)]
	}
	return contains
}

// naiveAt is tabletest.Naive with hours.
func naiveAt(cfg *config.Config, contains map[*config.Route]func(time.Time) bool, protocol config.Protocol, dst netip.AddrPort, client netip.Addr, at time.Time) table.Decision {
	d, _ := tabletest.Naive(cfg, protocol, dst, client)
	if d.Route == nil || d.Verdict == table.Deny || contains[d.Route] == nil || contains[d.Route](at.UTC()) {
		return d
	}
	d.Verdict = table.Inactive
	return d
}

// kernelFate is what the kernel is to do: the flows of the proxy are left to it where they are kept.
func kernelFate(d table.Decision, protocol config.Protocol) table.Verdict {
	switch {
	case d.Verdict != table.Inactive:
		return fate(d)
	case protocol == config.UDP && d.Route.OnInactive == config.KeepConns && d.Route.Action == config.Forward:
		return table.Steer
	}
	return table.VerdictOf(d.Route.Inactive)
}

// TestHoursAgree: kernel verdict = Table verdict = naive verdict at random times. The tests cannot set the clock
// of the host, so they say which time it is; the kernel then compares its own clock with the end that follows.
func TestHoursAgree(t *testing.T) {
	const times, packets = 20, lookups / 20
	n := fromEnv(t, "ANYPORT_VERDICTS", 80_000) / lookups
	if testing.Short() {
		n = 10
	}
	s := open(t, &config.Config{})
	j := newJudge(t, s)
	seen := make(map[table.Verdict]int)
	for seed := range uint64(n) {
		d := tabletest.NewDice(1_000_000 + seed)
		cfg := d.Config()
		contains := schedule(d, cfg)
		compiled := replace(t, s, cfg)
		j.learn(t, s)
		for range times {
			at := time.Unix(1_700_000_000+d.Int64N(100_000_000), d.Int64N(1e9))
			if d.IntN(4) == 0 { // or the edges of the windows would be rare
				at = at.Truncate(time.Hour).Add([]time.Duration{0, 30 * time.Minute, -time.Second}[d.IntN(3)])
			}
			if next := at.Truncate(time.Minute).Add(time.Minute); next.Sub(at) < 30*time.Second {
				at = at.Add(-30 * time.Second) // the packets have half a minute before the next change
			}
			if err := s.ApplyHours(fixed(at)); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			for range packets {
				protocol, dst, client := d.Protocol(), d.Dst(), d.Client()
				if dst.Addr().Is4() && !client.Unmap().Is4() || dst.Addr().Is6() && client.Is4() {
					client = dst.Addr()
				}
				want := naiveAt(cfg, contains, protocol, dst, client, at)
				got := compiled.DecideAt(protocol, dst, client, at)
				kernel := j.verdict(t, protocol, dst, client)
				if time.Since(begun) > 20*time.Second {
					t.Skip("this machine is too slow: the time has passed on")
				}
				if got.Verdict != want.Verdict || kernel != kernelFate(want, protocol) {
					t.Fatalf("table %d at %s, %v %v from %v: kernel %s, table %s, naive %s", seed, at.UTC(), protocol, dst, client, kernel, got.Verdict, want.Verdict)
				}
				seen[want.Verdict]++
			}
		}
		if drift, err := s.Drift(); err != nil || len(drift) > 0 {
			t.Fatalf("table %d: drift %q, %v", seed, drift, err)
		}
	}
	if seen[table.Inactive] == 0 || seen[table.Steer] == 0 {
		t.Error("nothing was steered, or nothing inactive")
	}
	t.Logf("%d lookups in %d tables: %v", n*lookups, n, seen)
}

// officeHours is a route of both protocols that closes at 18:00.
func officeHours(t *testing.T) *config.Config {
	cfg := tabletest.Managed("192.0.2.0/24", "2001:db8:1::/48")
	scheduled(cfg.Routes[0], "08:00..18:00 UTC")
	return cfg
}

func at(text string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return at
}

// TestWindowCloses: the kernel ends a window without anybody, and begins none.
func TestWindowCloses(t *testing.T) {
	s := open(t, officeHours(t))
	j := newJudge(t, s)
	if err := s.ApplyHours(fixed(at("2026-11-30T17:59:59.5Z"))); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	checkJudged(t, j, "before the end", from(config.TCP, 1024), table.Steer)
	checkJudged(t, j, "before the end", from(config.UDP, 1024), table.Steer)
	if time.Since(begun) > 400*time.Millisecond {
		t.Skip("this machine is too slow")
	}
	for j.judge(t, from(config.TCP, 1024)) == table.Steer {
		if time.Since(begun) > time.Second {
			t.Fatal("the window is open a second after its end")
		}
		time.Sleep(time.Millisecond)
	}
	if open := time.Since(begun); open < 300*time.Millisecond {
		t.Errorf("closed after %v, want half a second", open)
	}
	checkJudged(t, j, "after the end", from(config.UDP, 1024), table.Refuse)
	if err := s.ApplyHours(fixed(at("2026-12-01T07:59:59.9Z"))); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	checkJudged(t, j, "when it should begin, and nobody has said so", from(config.TCP, 1024), table.Refuse)
	if err := s.ApplyHours(fixed(at("2026-12-01T08:00:00Z"))); err != nil {
		t.Fatal(err)
	}
	checkJudged(t, j, "after the begin", from(config.TCP, 1024), table.Steer)
}

// TestInactiveAnswers: the verdict is counted as its own, and its answer is that of the file. Denied clients are
// denied at all times.
func TestInactiveAnswers(t *testing.T) {
	for _, answer := range []config.Action{config.Refuse, config.Drop} {
		cfg := officeHours(t)
		r := cfg.Routes[0]
		r.Inactive, r.Deny = answer, tabletest.Prefixes("198.51.100.1")
		s := open(t, cfg)
		j := newJudge(t, s)
		if err := s.ApplyHours(fixed(at("2026-11-30T20:00:00Z"))); err != nil {
			t.Fatal(err)
		}
		j.learn(t, s)
		checkJudged(t, j, "denied", from(config.TCP, 1024), table.Refuse)
		for _, protocol := range []config.Protocol{config.TCP, config.UDP} {
			p := from(protocol, 1024)
			p.Client = netip.MustParseAddrPort("198.51.100.2:1024")
			checkJudged(t, j, "inactive", p, table.VerdictOf(answer))
		}
		checkCounted(t, s, "all", table.Inactive, 2)
		checkCounted(t, s, "all", table.Deny, 1)
	}
}

// TestHoursOfReload: a table that comes into service knows its hours at once, and loses those that its routes
// have no more.
func TestHoursOfReload(t *testing.T) {
	s := open(t, tabletest.Managed("192.0.2.0/24"))
	j := newJudge(t, s)
	never := tabletest.Managed("192.0.2.0/24")
	scheduled(never.Routes[0], "1999-12-31")
	replace(t, s, never)
	checkJudged(t, j, "never in force", from(config.TCP, 1024), table.Refuse)
	always := tabletest.Managed("192.0.2.0/24")
	scheduled(always.Routes[0], "00:00..24:00")
	replace(t, s, always)
	checkJudged(t, j, "always in force", from(config.TCP, 1024), table.Steer)
	replace(t, s, never)
	replace(t, s, tabletest.Managed("192.0.2.0/24"))
	checkJudged(t, j, "without hours", from(config.TCP, 1024), table.Steer)
}

// fixed is a clock that stands still.
func fixed(at time.Time) func() time.Time { return func() time.Time { return at } }

// TestHalfWritten: a lookup may meet a time of which some bytes are written. It never lets in later, by more than 1 ns.
func TestHalfWritten(t *testing.T) {
	d := tabletest.NewDice(8)
	routes := officeHours(t).Routes
	at := func(text string, boot time.Duration) uint64 { return bpfmaps.ValidUntil(routes, at(text), boot)["all"] }
	for range 10_000 {
		boot := time.Duration(d.Int64N(1 << 60))
		closed, open := at("2026-11-30T20:00:00Z", boot), at("2026-11-30T12:00:00Z", boot)
		for mask := range 256 {
			var bytes uint64
			for i := range 8 {
				bytes |= uint64(mask>>i&1) * 0xff << (8 * i)
			}
			if mixed := open&bytes | closed&^bytes; mixed > open+1 {
				t.Fatalf("%#x is after %#x and %#x", mixed, open, closed)
			}
		}
	}
}
