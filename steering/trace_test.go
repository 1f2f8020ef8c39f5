package steering

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
)

// traceConfig has a route for each verdict of the program that a test run can make.
func traceConfig(t *testing.T) *config.Config {
	web := tabletest.Route("web", "80", "192.0.2.0/24", "2001:db8:1::/48")
	web.Deny = tabletest.Prefixes("198.51.100.128/25")
	limited := tabletest.Route("limited", "81", "192.0.2.0/24")
	limited.NewConnsPerSecond = 1
	closed := tabletest.Route("closed", "82", "192.0.2.0/24")
	scheduled(closed, "23:58..23:59 Etc/GMT+12")
	if time.Now().Add(-12*time.Hour).UTC().Hour() == 23 { // the other half of the day
		scheduled(closed, "11:58..11:59 Etc/GMT+12")
	}
	socket := tabletest.Route("socket", "83", "192.0.2.0/24")
	socket.Action, socket.Service = config.Socket, "absent.service"
	silent := tabletest.Route("silent", "84", "192.0.2.0/24")
	silent.Action = config.Drop
	knock := tabletest.Route("ssh", "22", "192.0.2.0/24")
	knock.Knock = config.Knock{Steps: []config.KnockStep{7000, 8000}, Window: time.Minute}
	drained := tabletest.Route("drained", "85", "192.0.2.0/24")
	return &config.Config{Routes: []*config.Route{web, limited, closed, socket, silent, knock, drained}}
}

// watched is a WatchTrace of a test.
type watched struct {
	*judge
	s      *Steering
	events chan TraceEvent
}

func watchTrace(t *testing.T, s *Steering) *watched {
	t.Helper()
	w := &watched{newJudge(t, s), s, make(chan TraceEvent, 10000)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() {
		ended <- s.WatchTrace(ctx, func(e TraceEvent) { w.events <- e }, func(n uint64) { t.Errorf("%d events lost", n) })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	w.trace(t, TraceFilter{})
	marker := netip.MustParseAddrPort("203.0.113.254:1")
	deadline := time.Now().Add(30 * time.Second)
	for { // the reader skips what is older than itself
		w.send(t, config.TCP, "192.0.2.1:80", marker)
		select {
		case <-w.events:
			for len(w.events) > 0 {
				<-w.events
			}
			return w
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing is traced")
		}
	}
}

func (w *watched) trace(t *testing.T, filters ...TraceFilter) {
	t.Helper()
	if err := w.s.SetTrace(filters); err != nil {
		t.Fatal(err)
	}
}

func (w *watched) send(t *testing.T, protocol config.Protocol, dst string, client netip.AddrPort) {
	t.Helper()
	w.judge.judge(t, program.Packet{Protocol: protocol, Dst: netip.MustParseAddrPort(dst), Client: client})
}

// next is the next event, as a line.
func (w *watched) next(t *testing.T) string {
	t.Helper()
	select {
	case e := <-w.events:
		if age := time.Since(e.At); age < 0 || age > time.Minute {
			t.Errorf("an event of %s", e.At)
		}
		return fmt.Sprintf("%s %s %s %s %s %s %s %s", e.Protocol, e.Client, e.Dst, e.Route, e.Verdict, e.Fate, e.Reason, e.Knock)
	case <-time.After(30 * time.Second):
		t.Fatal("no event")
		return ""
	}
}

// TestTraceVerdicts: whoever traces sees each verdict of the program, with the reason.
func TestTraceVerdicts(t *testing.T) {
	s := open(t, traceConfig(t))
	if err := s.RefuseConns("drained", true, false); err != nil {
		t.Fatal(err)
	}
	w := watchTrace(t, s)
	client := netip.MustParseAddrPort("198.51.100.7:40001")
	for _, test := range []struct {
		protocol    config.Protocol
		dst, client string
		want        string
	}{
		{config.TCP, "192.0.2.1:80", "", "web steer steer  "},
		{config.TCP, "192.0.2.1:80", "198.51.100.200:7", "web deny refuse allow_deny "},
		{config.TCP, "192.0.2.1:443", "", " refuse refuse  "},
		{config.UDP, "192.0.2.1:80", "", " refuse refuse  "},
		{config.TCP, "192.0.2.1:81", "", "limited steer steer  "},
		{config.TCP, "192.0.2.1:81", "198.51.100.7:40002", "limited limit refuse new_conns_per_second "},
		{config.TCP, "192.0.2.1:82", "", "closed inactive refuse hours "},
		{config.TCP, "192.0.2.1:83", "", "socket steer steer no_socket_of_service "},
		{config.TCP, "192.0.2.1:84", "", "silent drop drop  "},
		{config.TCP, "192.0.2.1:85", "", "drained refuse refuse draining "},
		{config.TCP, "192.0.2.1:22", "", "ssh deny refuse no_open_door "},
		{config.TCP, "192.0.2.1:7000", "", " refuse refuse  step"},
		{config.TCP, "192.0.2.1:8000", "", " refuse refuse  opened"},
		{config.TCP, "192.0.2.1:22", "", "ssh steer steer  "},
		{config.TCP, "[2001:db8:1::1]:80", "[2001:db8::7]:1", "web steer steer  "},
	} {
		from := client
		if test.client != "" {
			from = netip.MustParseAddrPort(test.client)
		}
		w.send(t, test.protocol, test.dst, from)
		if got, want := w.next(t), fmt.Sprintf("%s %s %s %s", test.protocol, from, test.dst, test.want); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestTraceReload: a trace goes on with another table, whose half is the other one; and without filters the
// program's word has no bit of it left.
func TestTraceReload(t *testing.T) {
	s := open(t, traceConfig(t))
	w := watchTrace(t, s)
	client := netip.MustParseAddrPort("198.51.100.7:40001")
	for range 3 {
		replace(t, s, traceConfig(t))
		w.send(t, config.TCP, "192.0.2.1:80", client)
		if got := w.next(t); got != "tcp 198.51.100.7:40001 192.0.2.1:80 web steer steer  " {
			t.Error(got)
		}
	}
	if lines, err := s.Drift(); err != nil || len(lines) > 0 {
		t.Errorf("while somebody traces: %q, %v", lines, err)
	}
	w.trace(t)
	w.send(t, config.TCP, "192.0.2.1:80", client)
	if len(w.events) > 0 {
		t.Error("traced although nobody looks:", w.next(t))
	}
	if _, half, err := servedWord(s); err != nil || half != s.generation%2 {
		t.Errorf("the program's word is %d, %v", half, err)
	}
}

// servedWord reads the program's word.
func servedWord(s *Steering) (tables, half uint32, err error) {
	var word struct{ Half, Tables uint32 }
	err = s.objects.Generation.Lookup(uint32(0), &word)
	return word.Tables, word.Half, err
}

// TestTraceFilters compares the filters of the program with a naive look, for random filters and packets.
func TestTraceFilters(t *testing.T) {
	s := open(t, traceConfig(t))
	w := watchTrace(t, s)
	random := rand.New(rand.NewPCG(1, 2))
	clients := []string{"198.51.100.7", "198.51.100.8", "198.51.100.200", "203.0.113.1"}
	dsts := []struct{ dst, route string }{{"192.0.2.1:80", "web"}, {"192.0.2.1:84", "silent"}, {"192.0.2.1:9", ""}}
	marker := netip.MustParseAddrPort("203.0.113.99:99")
	for range 200 {
		filters := []TraceFilter{{Client: netip.MustParsePrefix("203.0.113.99/32")}}
		for range random.IntN(MostTraceFilters - 1) {
			f := TraceFilter{Route: []string{"", "web", "silent", "closed"}[random.IntN(4)]}
			if random.IntN(2) == 0 {
				f.Client = netip.PrefixFrom(netip.MustParseAddr(clients[random.IntN(len(clients))]), random.IntN(33))
			}
			filters = append(filters, f)
		}
		filters = append(filters[1:], filters[0]) // the last one must be looked at, too
		w.trace(t, filters...)
		var want []string
		for _, c := range clients {
			for _, d := range dsts {
				from := netip.AddrPortFrom(netip.MustParseAddr(c), uint16(random.IntN(65535)+1))
				w.send(t, config.TCP, d.dst, from)
				if slices.ContainsFunc(filters, func(f TraceFilter) bool {
					return (f.Route == "" || f.Route == d.route) && (!f.Client.IsValid() || f.Client.Contains(from.Addr()))
				}) {
					want = append(want, from.String()+" "+d.dst)
				}
			}
		}
		w.send(t, config.TCP, "192.0.2.1:80", marker)
		var got []string
		for {
			var e TraceEvent
			select {
			case e = <-w.events:
			case <-time.After(30 * time.Second):
				t.Fatal("the last packet is not traced")
			}
			if e.Client == marker {
				break
			}
			got = append(got, e.Client.String()+" "+e.Dst.String())
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v\ntraced %q\nwant   %q", filters, got, want)
		}
	}
	if err := s.SetTrace(make([]TraceFilter, MostTraceFilters+1)); err == nil {
		t.Error("more filters than the program has room for are taken")
	}
}

// BenchmarkTrace is one look of the program at a first packet while somebody traces: another client, by one
// filter and by as many as there may be; and this one, with a ring buffer that is read.
func BenchmarkTrace(b *testing.B) {
	other := TraceFilter{Client: netip.MustParsePrefix("203.0.113.7/32")}
	for name, filters := range map[string][]TraceFilter{
		"nobody": nil, "another": {other}, "eight others": slices.Repeat([]TraceFilter{other}, MostTraceFilters), "this": {{}},
	} {
		b.Run(name, func(b *testing.B) {
			s, packet := someLookups[0].prepare(b)
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error)
			go func() { ended <- s.WatchTrace(ctx, func(TraceEvent) {}, func(uint64) {}) }()
			if err := s.SetTrace(filters); err != nil {
				b.Fatal(err)
			}
			least := math.Inf(1)
			const burst = 500
			for left := b.N; left > 0; left -= burst {
				n := min(left, burst)
				begun := time.Now()
				clear(packet[:8])
				if _, err := program.TestRun(s.loaded.Program, packet, uint32(n)); err != nil {
					b.Fatal(err)
				}
				least = min(least, float64(time.Since(begun))/float64(n))
			}
			b.ReportMetric(least, "least-ns/op")
			cancel()
			if err := <-ended; err != nil {
				b.Error(err)
			}
		})
	}
}

// TestTraceOfNewerProgram: what a newer program wrote, before an upgrade to it was taken back, ends nothing.
func TestTraceOfNewerProgram(t *testing.T) {
	told := 0
	for _, raw := range []bpf.SteerTraceEvent{
		{Verdict: bpf.SteerVerdictVERDICTS}, {Fate: bpf.SteerVerdictVERDICTS}, {Reason: bpf.SteerReasonREASONS}, {Knocked: 200}, {},
	} {
		record, err := binary.Append(nil, binary.NativeEndian, &raw)
		if err != nil {
			t.Fatal(err)
		}
		new(traceReader).tell(record, func(TraceEvent) { told++ })
		new(traceReader).tell(record[:len(record)-1], func(TraceEvent) { told++ })
	}
	if told != 2 {
		t.Errorf("%d events, want the two that this build knows", told)
	}
}
