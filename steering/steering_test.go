package steering

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/program"
	"anyport/steering/table"
)

// open opens the steering of cfg in a namespace of its own.
func open(t testing.TB, cfg *config.Config) *Steering {
	t.Helper()
	netnstest.InNamespace(t)
	return openHere(t, cfg)
}

func openHere(t testing.TB, cfg *config.Config) *Steering {
	t.Helper()
	table, err := table.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(withListen(cfg), table, discard)
	return opened(t, s, err)
}

// opened closes s with the test.
func opened(t testing.TB, s *Steering, err error) *Steering {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func withListen(cfg *config.Config) *config.Config {
	c := *cfg
	c.Listen = config.Listen{Workers: 1, TCPBacklog: 128, UDPReceiveBuffer: 1 << 20}
	return &c
}

var discard = slog.New(slog.DiscardHandler)

// replace puts the table of cfg in service.
func replace(t testing.TB, s *Steering, cfg *config.Config) *table.Table {
	t.Helper()
	table, err := table.Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Replace(withListen(cfg), table); err != nil {
		t.Fatal(err)
	}
	return table
}

// judge runs the program on sk_lookup contexts, without a packet.
type judge struct {
	program *ebpf.Program
	cookies map[uint64]table.Verdict
}

func newJudge(t testing.TB, s *Steering) *judge {
	t.Helper()
	j := &judge{program: s.objects.Steer}
	j.learn(t, s)
	return j
}

// learn asks again which sockets are which.
func (j *judge) learn(t testing.TB, s *Steering) {
	t.Helper()
	j.cookies = make(map[uint64]table.Verdict)
	for slot, verdict := range map[bpf.SteerSlot]table.Verdict{
		bpf.SteerSlotTCP: table.Steer, bpf.SteerSlotUDP: table.Steer,
		bpf.SteerSlotTCP_HOLE: table.Drop, bpf.SteerSlotUDP_HOLE: table.Drop,
	} {
		for _, fd := range s.sockets[slot] {
			cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
			if err != nil {
				t.Fatal(err)
			}
			j.cookies[cookie] = verdict
		}
	}
}

// verdict is what the kernel does with a first packet: steer, drop, refuse or pass.
func (j *judge) verdict(t testing.TB, protocol config.Protocol, dst netip.AddrPort, client netip.Addr) table.Verdict {
	return j.judge(t, program.Packet{Protocol: protocol, Dst: dst, Client: netip.AddrPortFrom(client, 40000)})
}

func (j *judge) judge(t testing.TB, p program.Packet) table.Verdict {
	t.Helper()
	context := p.Context(0)
	returned, err := program.TestRun(j.program, context, 1)
	if err != nil {
		t.Fatal(err)
	}
	cookie := binary.NativeEndian.Uint64(context[program.CtxCookie:])
	switch {
	case returned != program.SKPass:
		return table.Refuse
	case cookie == 0:
		return table.Pass
	}
	return j.cookies[cookie]
}

// fate is the verdict of d as the kernel shows it: a denied client's is denied's.
func fate(d table.Decision) table.Verdict {
	if d.Verdict == table.Deny {
		return table.VerdictOf(d.Route.Denied)
	}
	return d.Verdict
}

// lookups is how many there are for each table.
const lookups = 4000

// TestKernelAgrees: kernel verdict = Table verdict = naive verdict, while some routes
// drain, which only the kernel knows. ANYPORT_VERDICTS=10000000 takes minutes.
func TestKernelAgrees(t *testing.T) {
	n := fromEnv(t, "ANYPORT_VERDICTS", 300_000) / lookups
	if testing.Short() {
		n = 10
	}
	s := open(t, &config.Config{})
	j := newJudge(t, s)
	seen := make(map[table.Verdict]int)
	for seed := range uint64(n) {
		d := tabletest.NewDice(seed)
		cfg := d.Config()
		compiled := replace(t, s, cfg)
		j.learn(t, s)
		drains := drainSome(t, d, s, cfg)
		for range lookups {
			protocol, dst, client := d.Protocol(), d.Dst(), d.Client()
			if dst.Addr().Is4() && !client.Unmap().Is4() || dst.Addr().Is6() && client.Is4() {
				client = dst.Addr() // a packet's addresses are of one family
			}
			want, _ := tabletest.Naive(cfg, protocol, dst, client)
			got := compiled.Decide(protocol, dst, client)
			kernel := j.verdict(t, protocol, dst, client)
			wanted := fate(want)
			if protocol == config.TCP && want.Verdict == table.Steer && drains[want.Route.Name] {
				wanted = table.Refuse
				seen["refuse, draining"]++
			}
			if got.Verdict != want.Verdict || kernel != wanted {
				t.Fatalf("table %d, %v %v from %v: kernel %s, table %s, naive %s", seed, protocol, dst, client, kernel, got.Verdict, want.Verdict)
			}
			seen[want.Verdict]++
		}
	}
	t.Logf("%d lookups in %d tables: %v", n*lookups, n, seen)
}

func checkVerdicts(t *testing.T, j *judge, want map[string]table.Verdict) {
	t.Helper()
	for text, verdict := range want {
		dst := netip.MustParseAddrPort(text)
		if got := j.verdict(t, config.TCP, dst, dst.Addr()); got != verdict {
			t.Errorf("%s: %s, want %s", dst, got, verdict)
		}
	}
}

// drainSome has some of the routes drain, and the others not.
func drainSome(t *testing.T, d tabletest.Dice, s *Steering, cfg *config.Config) map[string]bool {
	t.Helper()
	drains := map[string]bool{}
	for _, r := range cfg.Routes {
		drains[r.Name] = d.IntN(4) == 0
		setDrain(t, s, r.Name, drains[r.Name])
	}
	return drains
}
