package steering

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering/fleet"
	"anyport/steering/internal/tabletest"
)

// TestProbes: packets of no conn, for which the fleet's program looks whether they have a socket here, take
// no token of a route and change no counter. Without ExpectProbes they do.
func TestProbes(t *testing.T) {
	r := tabletest.Route("r", "1-65535", "192.0.2.0/24")
	r.NewConnsPerSecond = 1
	s := open(t, &config.Config{Routes: []*config.Route{r}})
	m := s.objects.SteerMaps
	o, err := fleet.Load(fleet.Served{Generation: m.Generation, PrefixesV4: m.PrefixesV4, PrefixesV6: m.PrefixesV6, Probes: m.Probes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	fd, err := unix.FcntlInt(uintptr(o.Descriptors()["map/"+bpf.FleetMapFleetBackplane]), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	backplane, err := ebpf.NewMapFromFD(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { backplane.Close() })
	if err := backplane.Put(uint32(0), bpf.FleetBackplane{Asked: 1, Mtu: 1500, Burst: 1 << 40, SourceBurst: 1 << 40}); err != nil {
		t.Fatal(err)
	}
	for _, expected := range []bool{true, false, true} {
		if err := s.ExpectProbes(expected); err != nil {
			t.Fatal(err)
		}
		before := countedTCP(t, s)
		for port := range 20 {
			verdict, err := o.Programs()[0].Run(&ebpf.RunOptions{Data: strayFrame(uint16(1024 + port)), DataOut: make([]byte, 256)})
			if err != nil || verdict != 2 { // TC_ACT_SHOT: it was asked for
				t.Fatalf("verdict %d, %v", verdict, err)
			}
		}
		if counted := countedTCP(t, s) - before; counted != map[bool]uint64{true: 0, false: 20}[expected] {
			t.Errorf("with ExpectProbes(%v) %d lookups were counted", expected, counted)
		}
	}
}

// countedTCP is how many lookups the program has counted, whatever their verdict.
func countedTCP(t testing.TB, s *Steering) (sum uint64) {
	t.Helper()
	for index := range s.objects.Counters.MaxEntries() {
		var each []uint64
		if err := s.objects.Counters.Lookup(index, &each); err != nil {
			t.Fatal(err)
		}
		for _, n := range each {
			sum += n
		}
	}
	return sum
}

// strayFrame is an ACK of 198.51.100.1 to 192.0.2.1:80, of no conn.
func strayFrame(port uint16) []byte {
	b := append(make([]byte, 12), 8, 0, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 198, 51, 100, 1, 192, 0, 2, 1)
	b = binary.BigEndian.AppendUint16(b, port)
	return append(b, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 16, 1, 0, 0, 0, 0, 0)
}
