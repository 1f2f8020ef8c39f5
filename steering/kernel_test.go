package steering

import (
	"encoding/binary"
	"log/slog"
	"net/netip"
	"os"
	"runtime"
	"testing"

	"anyport/bpf"
	"anyport/config"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNamespace moves the test into a network namespace of its own, anonymous, with
// loopback up. The thread is never unlocked, so it and the namespace end with the test.
func inNamespace(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("REQUIRE_ROOT") == "1" {
			t.Fatal("not root")
		}
		t.Skip("needs root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
}

// open opens the steering of cfg in a namespace of its own.
func open(t testing.TB, cfg *config.Config) *Steering {
	t.Helper()
	inNamespace(t)
	return openHere(t, cfg)
}

func openHere(t testing.TB, cfg *config.Config) *Steering {
	t.Helper()
	table, err := Compile(cfg)
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
func replace(t testing.TB, s *Steering, cfg *config.Config) *Table {
	t.Helper()
	table, err := Compile(cfg)
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
	cookies map[uint64]Verdict
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
	j.cookies = make(map[uint64]Verdict)
	for slot, verdict := range map[bpf.SteerSlot]Verdict{
		bpf.SteerSlotTCP: Steer, bpf.SteerSlotUDP: Steer,
		bpf.SteerSlotTCP_HOLE: Drop, bpf.SteerSlotUDP_HOLE: Drop,
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
func (j *judge) verdict(t testing.TB, protocol config.Protocol, dst netip.AddrPort, client netip.Addr) Verdict {
	return j.judge(t, packet{protocol, dst, netip.AddrPortFrom(client, 40000)})
}

func (j *judge) judge(t testing.TB, p packet) Verdict {
	t.Helper()
	context := p.context(0)
	returned, err := run(j.program, context, 1)
	if err != nil {
		t.Fatal(err)
	}
	cookie := binary.NativeEndian.Uint64(context[ctxCookie:])
	switch {
	case returned != skPass:
		return Refuse
	case cookie == 0:
		return Pass
	}
	return j.cookies[cookie]
}

// fate is the verdict of d as the kernel shows it: a denied client's is denied's.
func fate(d Decision) Verdict {
	if d.Verdict == Deny {
		return verdict(d.Route.Denied)
	}
	return d.Verdict
}

// lookups is how many there are for each table.
const lookups = 4000

// TestKernelAgrees: kernel verdict = Table verdict = naive verdict, while some routes
// drain, of which the kernel alone knows. ANYPORT_VERDICTS=10000000 takes minutes.
func TestKernelAgrees(t *testing.T) {
	n := fromEnv(t, "ANYPORT_VERDICTS", 1_000_000) / lookups
	if testing.Short() {
		n = 10
	}
	s := open(t, &config.Config{})
	j := newJudge(t, s)
	seen := make(map[Verdict]int)
	for seed := range uint64(n) {
		d := newDice(seed)
		cfg := d.config()
		table := replace(t, s, cfg)
		j.learn(t, s)
		drains := d.drain(t, s, cfg)
		for range lookups {
			protocol, dst, client := d.protocol(), d.dst(), d.client()
			if dst.Addr().Is4() && !client.Unmap().Is4() || dst.Addr().Is6() && client.Is4() {
				client = dst.Addr() // a packet's addresses are of one family
			}
			want, _ := naive(cfg, protocol, dst, client)
			got := table.Decide(protocol, dst, client)
			kernel := j.verdict(t, protocol, dst, client)
			wanted := fate(want)
			if protocol == config.TCP && want.Verdict == Steer && drains[want.Route.Name] {
				wanted = Refuse
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

// drain has some of the routes drain, and the others not.
func (d dice) drain(t *testing.T, s *Steering, cfg *config.Config) map[string]bool {
	t.Helper()
	drains := map[string]bool{}
	for _, r := range cfg.Routes {
		drains[r.Name] = d.IntN(4) == 0
		setDrain(t, s, r.Name, drains[r.Name])
	}
	return drains
}

func checkVerdicts(t *testing.T, j *judge, want map[string]Verdict) {
	t.Helper()
	for text, verdict := range want {
		dst := netip.MustParseAddrPort(text)
		if got := j.verdict(t, config.TCP, dst, dst.Addr()); got != verdict {
			t.Errorf("%s: %s, want %s", dst, got, verdict)
		}
	}
}
