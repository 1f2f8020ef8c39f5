package steering

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// mixed is a random table with hours, sequences, services and rules for clients, and who decides.
type mixed struct {
	tabletest.Dice
	cfg      *config.Config
	compiled *table.Table
	inHours  map[*config.Route]func(time.Time) bool
	knocks   *naiveKnocks
	clients  []netip.AddrPort
	plans    map[netip.AddrPort][]netip.AddrPort // what a client sends next
}

// mix gives random routes the rest of what a route may have.
func mix(d tabletest.Dice) *mixed {
	m := &mixed{Dice: d, cfg: d.Config(), plans: map[netip.AddrPort][]netip.AddrPort{}}
	m.inHours = schedule(d, m.cfg)
	for i, r := range m.cfg.Routes {
		if r.Action == config.Forward && d.IntN(3) == 0 {
			r.Action, r.Service = config.Socket, []string{"both", "tcp", "none"}[d.IntN(3)]
			if d.IntN(2) == 0 {
				r.Origins = tabletest.Route("", "1").Origins
			}
		}
		if (r.Action == config.Forward || r.Action == config.Socket) && d.IntN(2) == 0 {
			r.MaxFlows, r.UDPIdle = 100, 1 // the kernel remembers so many, by a clock that no test sets
			r.Knock.Window = []time.Duration{30 * time.Second, 5 * time.Minute, time.Hour}[d.IntN(3)]
			for step := range 2 + d.IntN(4) { // no two routes have a port in common
				r.Knock.Steps = append(r.Knock.Steps, config.KnockStep(7000+10*i+step))
			}
		}
	}
	m.knocks = &naiveKnocks{m.cfg, map[netip.Addr][]naivePacket{}, map[string]time.Duration{}}
	for _, addr := range []string{"10.0.1.0", "10.1.2.3", "10.1.3.255", "203.0.113.7", "2001:db8::", "2001:db8:3::ff", "2001:db8:9::1"} {
		m.clients = append(m.clients, netip.AddrPortFrom(netip.MustParseAddr(addr), 40000))
	}
	return m
}

// packet follows a sequence, and then tries its route, or is any packet.
func (m *mixed) packet() program.Packet {
	client := m.clients[m.IntN(len(m.clients))]
	p := program.Packet{Protocol: m.Protocol(), Client: netip.AddrPortFrom(client.Addr(), uint16(40000+m.IntN(3)))}
	if m.IntN(8) == 0 || len(m.cfg.Routes) == 0 {
		for p.Dst = m.Dst(); p.Dst.Addr().Is4() != client.Addr().Is4(); p.Dst = m.Dst() {
		}
		return p
	}
	if len(m.plans[client]) == 0 {
		m.plans[client] = m.plan(client.Addr())
	}
	p.Dst = m.plans[client][0]
	m.plans[client] = m.plans[client][1:]
	return p
}

// plan is a sequence and some conns, or only conns where no route has a sequence.
func (m *mixed) plan(client netip.Addr) (all []netip.AddrPort) {
	r := m.cfg.Routes[m.IntN(len(m.cfg.Routes))]
	to := m.Dst().Addr()
	for _, p := range r.Prefixes {
		if p.Addr().Is4() == client.Is4() {
			to = p.Addr()
		}
	}
	for to.Is4() != client.Is4() {
		to = m.Dst().Addr()
	}
	for _, port := range r.Knock.Ports() {
		all = append(all, netip.AddrPortFrom(to, port))
	}
	for range 1 + m.IntN(4) {
		all = append(all, netip.AddrPortFrom(to, []uint16{r.Ports[0].First, r.Ports[0].Last}[m.IntN(2)]))
	}
	return all
}

// naive is what becomes of a packet at a time of the calendar, which is now for the knocks: by the words of
// the reference, and as the kernel shows it.
func (m *mixed) naive(p program.Packet, at time.Time, now time.Duration) (d table.Decision, shown table.Verdict) {
	m.knocks.count(now, p.Dst, p.Client)
	d = naiveAt(m.cfg, m.inHours, p.Protocol, p.Dst, p.Client.Addr(), at)
	shown = kernelFate(d, p.Protocol)
	goesOn := d.Verdict == table.Steer || d.Verdict == table.Socket || d.Verdict == table.Inactive && shown == table.Steer
	if goesOn && !m.knocks.admits(now, d.Route, p.Client.Addr()) {
		return d, table.VerdictOf(d.Route.Denied)
	}
	if d.Verdict == table.Socket && (d.Route.Service == "none" || d.Route.Service == "tcp" && p.Protocol == config.UDP) {
		return d, table.AwayOf(d.Route)
	}
	return d, shown
}

// serveMixed puts the sockets of the services of mix into the kernel's table.
func serveMixed(t *testing.T, s *Steering, j *judge) {
	t.Helper()
	for protocol, kind := range map[config.Protocol]int{config.TCP: unix.SOCK_STREAM, config.UDP: unix.SOCK_DGRAM} {
		fd, err := unix.Socket(unix.AF_INET6, kind|unix.SOCK_CLOEXEC, 0) // of Go's listeners some are MPTCP
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		err = unix.Bind(fd, &unix.SockaddrInet6{})
		if err == nil && protocol == config.TCP {
			err = unix.Listen(fd, 1)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range []string{"both", "tcp"} {
			key := bpf.SteerLocalKey{Service: table.Service{Name: service}.ID(), Protocol: uint64(protocol)}
			if service == "tcp" && protocol == config.UDP {
				continue
			}
			if err := s.objects.LocalSockets.Put(key, uint64(fd)); err != nil {
				t.Fatal(err)
			}
		}
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		if err != nil {
			t.Fatal(err)
		}
		j.cookies[cookie] = table.Socket
	}
}

// TestMixedAgree: kernel verdict = Table verdict = naive verdict for random packets, times and knocks so far, in
// tables that mix hours, sequences, services and rules for clients. A table sees some stretches of half a minute
// of its calendar, in their order.
func TestMixedAgree(t *testing.T) {
	const stretches, packets = 10, lookups / 10
	n := fromEnv(t, "ANYPORT_VERDICTS", 80_000) / lookups
	if testing.Short() {
		n = 5
	}
	s := open(t, &config.Config{})
	k := newKnocks(t, s)
	seen := make(map[table.Verdict]int)
	var now time.Duration // by the clock of the knocks
	for seed := range uint64(n) {
		m := mix(tabletest.NewDice(14_000_000 + seed))
		m.compiled = replace(t, s, m.cfg)
		k.learn(t, s)
		serveMixed(t, s, k.judge)
		now += 2 * time.Hour // no door of the table before is open any more
		at := time.Unix(1_700_000_000+m.Int64N(100_000_000), 0).Truncate(time.Minute)
		for range stretches {
			if err := s.ApplyHours(fixed(at)); err != nil {
				t.Fatal(err)
			}
			begun, first := time.Now(), now
			for range packets {
				now += []time.Duration{1, 1, 3, 53, 203}[m.IntN(5)] * time.Millisecond
				if now-first > 30*time.Second {
					break
				}
				k.at(t, now)
				p := m.packet()
				d, want := m.naive(p, at.Add(now-first), now)
				got := m.compiled.DecideAt(p.Protocol, p.Dst, p.Client.Addr(), at.Add(now-first))
				kernel := k.judge.judge(t, p)
				if time.Since(begun) > 50*time.Second {
					t.Skip("this machine is too slow: a window has ended meanwhile")
				}
				if got.Verdict != d.Verdict || got.Route != d.Route || kernel != want {
					t.Fatalf("table %d at %s, %s after the start: %v %v from %v: kernel %s, want %s; table %s, want %s", seed, at.UTC(), now, p.Protocol, p.Dst, p.Client, kernel, want, got.Verdict, d.Verdict)
				}
				if seen[d.Verdict]++; d.Route != nil && d.Route.Knock.Needed() && m.knocks.admits(now, d.Route, p.Client.Addr()) {
					seen["through a door"]++
				}
			}
			wait := []time.Duration{1, 1, 5, 30, 8 * 60}[m.IntN(5)] * time.Minute
			at, now = at.Add(wait), first+wait
		}
	}
	for _, verdict := range []table.Verdict{table.Inactive, table.Steer, table.Socket, table.Deny, "through a door"} {
		if seen[verdict] == 0 {
			t.Errorf("no packet was %s", verdict)
		}
	}
	t.Logf("%v in %d tables", seen, n)
}
