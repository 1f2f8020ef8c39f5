package steering

import (
	"context"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"anyport/config"
	"anyport/steering/internal/tabletest"
	"anyport/steering/program"
)

// scanConfig has one route that serves port 80, one that refuses and one that drops; the other ports of the
// prefixes have no route.
func scanConfig() *config.Config {
	cfg := &config.Config{}
	for name, r := range map[string]struct {
		ports  string
		action config.Action
	}{"web": {"80-81", config.Forward}, "no": {"1000-1999", config.Refuse}, "hole": {"2000-2999", config.Drop}, "host": {"22-23", config.Pass}} {
		route := tabletest.Route(name, r.ports, "192.0.2.0/24", "2001:db8:1::/48")
		route.Protocols, route.Action = []config.Protocol{config.TCP, config.UDP}, r.action
		if name == "web" || name == "no" {
			route.Deny = tabletest.Prefixes("203.0.113.0/24")
		}
		cfg.Routes = append(cfg.Routes, route)
	}
	return cfg
}

// scanRig sends packets to the program and collects what it reports.
type scanRig struct {
	s    *Steering
	seen chan Scan
}

// watchScans returns when the kernel may report.
func watchScans(t *testing.T, s *Steering) (rig scanRig, stop func()) {
	t.Helper()
	rig = scanRig{s, make(chan Scan, 100_000)}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.WatchScans(ctx, func(all []Scan) {
			for _, one := range all {
				rig.seen <- one
			}
		})
	}()
	stop = func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(30 * time.Second):
			t.Error("WatchScans does not end")
		}
	}
	rig.awaitRound(t)
	return rig, stop
}

func (r scanRig) send(t *testing.T, scan Scan, times uint32) {
	t.Helper()
	context := program.Packet{Protocol: scan.Protocol, Dst: scan.Dst, Client: netip.AddrPortFrom(scan.Client, program.AnyPort)}.Context(0)
	if _, err := program.TestRun(r.s.loaded.Program, context, times); err != nil {
		t.Fatal(err)
	}
}

func scanOf(protocol config.Protocol, client, dst string) Scan {
	return Scan{protocol, netip.MustParseAddr(client), netip.MustParseAddrPort(dst)}
}

// await fails unless the next report is want.
func (r scanRig) await(t *testing.T, want Scan) {
	t.Helper()
	select {
	case got := <-r.seen:
		if got != want {
			t.Fatalf("reported %+v, want %+v", got, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%+v is not reported", want)
	}
}

// TestScans: packets to ports that no route takes, or whose route refuses or drops, are reported as they came. Packets
// of routes that serve, and of clients that a route denies, are not.
func TestScans(t *testing.T) {
	s := open(t, scanConfig())
	rig, stop := watchScans(t, s)
	defer stop()
	for _, quiet := range []Scan{
		scanOf(config.TCP, "198.51.100.7", "192.0.2.1:80"), scanOf(config.UDP, "198.51.100.7", "192.0.2.1:80"),
		scanOf(config.TCP, "203.0.113.7", "192.0.2.1:80"), scanOf(config.TCP, "203.0.113.7", "192.0.2.1:1000"),
		scanOf(config.TCP, "198.51.100.7", "192.0.2.1:22"), scanOf(config.TCP, "198.51.100.7", "198.51.100.1:5"),
		scanOf(config.TCP, "2001:db8:f::7", "[2001:db8:1::1]:80"),
	} {
		rig.send(t, quiet, 1)
	}
	for _, scan := range []Scan{
		scanOf(config.TCP, "198.51.100.7", "192.0.2.1:24"), scanOf(config.UDP, "198.51.100.7", "192.0.2.255:65535"),
		scanOf(config.TCP, "198.51.100.7", "192.0.2.1:1000"), scanOf(config.UDP, "198.51.100.7", "192.0.2.1:2000"),
		scanOf(config.TCP, "2001:db8:f::7", "[2001:db8:1::9]:24"), scanOf(config.UDP, "2001:db8:f::7", "[2001:db8:1::9]:2999"),
	} {
		rig.send(t, scan, 1)
		rig.await(t, scan)
	}
	if counts, err := s.ScanCounts(); err != nil || counts != (ScanCounts{Reported: 6}) {
		t.Errorf("%+v, %v", counts, err)
	}
}

// TestScansOfDrainingRoute: the clients that a draining route refuses are not reported.
func TestScansOfDrainingRoute(t *testing.T) {
	s := open(t, scanConfig())
	rig, stop := watchScans(t, s)
	defer stop()
	setDrain(t, s, "web", true)
	rig.send(t, scanOf(config.TCP, "198.51.100.7", "192.0.2.1:80"), 1)
	scan := scanOf(config.TCP, "198.51.100.7", "192.0.2.1:90")
	rig.send(t, scan, 1)
	rig.await(t, scan)
}

// TestScanFlood: of a flood each CPU reports no more than its share of a round, and the sums are still those of all
// packets; when it is over, the next packet is reported. Without a reader, nothing is.
func TestScanFlood(t *testing.T) {
	const flood = 100_000
	s := open(t, scanConfig())
	rig := scanRig{s: s}
	scan := scanOf(config.TCP, "198.51.100.7", "192.0.2.1:90")
	rig.send(t, scan, flood)
	if counts, err := s.ScanCounts(); err != nil || counts != (ScanCounts{Skipped: flood}) {
		t.Errorf("without a reader: %+v, %v", counts, err)
	}
	rig, stop := watchScans(t, s)
	defer stop()
	begun := time.Now()
	rig.send(t, scan, flood)
	rounds := uint64(time.Since(begun)/scanRound) + 2
	counts, err := s.ScanCounts()
	if err != nil || counts.Reported == 0 || counts.Reported > uint64(runtime.NumCPU())*rounds*mostCPUScans || counts.Reported+counts.Skipped != 2*flood {
		t.Errorf("%+v in %d rounds, %v", counts, rounds, err)
	}
	for range counts.Reported {
		rig.await(t, scan)
	}
	last := scanOf(config.TCP, "198.51.100.8", "192.0.2.1:91")
	for deadline := time.Now().Add(30 * time.Second); ; {
		rig.send(t, last, 1)
		select {
		case got := <-rig.seen:
			if got == last {
				return
			}
		case <-time.After(scanRound):
		}
		if time.Now().After(deadline) {
			t.Fatal("after the flood nothing is reported")
		}
	}
}

// awaitRound waits until the kernel may report.
func (r scanRig) awaitRound(t *testing.T) {
	t.Helper()
	round := struct{ Number, Most uint32 }{}
	for deadline := time.Now().Add(30 * time.Second); round.Most == 0; time.Sleep(time.Millisecond) {
		if err := r.s.objects.ScanRound.Lookup(uint32(0), &round); err != nil || time.Now().After(deadline) {
			t.Fatal("no round has begun", err)
		}
	}
}

// TestScansInherited: what one process has not read, the next one reads, and the counters go on.
func TestScansInherited(t *testing.T) {
	old := open(t, scanConfig())
	rig, stop := watchScans(t, old)
	stop()
	scan := scanOf(config.TCP, "198.51.100.7", "192.0.2.1:90")
	rig.send(t, scan, 1)
	next := inherit(t, scanConfig(), copies(t, old.Handover()))
	if err := old.Release(); err != nil {
		t.Fatal(err)
	}
	rig, stop = watchScans(t, next)
	defer stop()
	rig.await(t, scan)
	if counts, err := next.ScanCounts(); err != nil || counts != (ScanCounts{Reported: 1}) {
		t.Errorf("%+v, %v", counts, err)
	}
}
