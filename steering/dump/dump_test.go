package dump_test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"anyport/bpf"
	"anyport/config"
	"anyport/steering"
	"anyport/steering/dump"
	"anyport/steering/internal/tabletest"
	"anyport/steering/netnstest"
	"anyport/steering/table"
)

// open puts a config into service in a namespace of its own.
func open(t *testing.T, c *config.Config) {
	t.Helper()
	netnstest.InNamespace(t)
	compiled, err := table.Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	c.Listen = config.Listen{Workers: 1, TCPBacklog: 128, UDPReceiveBuffer: 1 << 20}
	s, err := steering.Open(c, compiled, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
}

// read returns the maps of the only program, by name.
func read(t *testing.T) map[string]dump.Map {
	t.Helper()
	programs, err := dump.Programs()
	if err != nil || len(programs) != 1 || !programs[0].Own || programs[0].Error != "" || programs[0].Tag == "" {
		t.Fatalf("%+v, %v", programs, err)
	}
	maps := map[string]dump.Map{}
	for _, m := range programs[0].Maps {
		maps[m.Name] = m
		if m.Error != "" || m.Entries == nil {
			t.Errorf("%s: %+v", m.Name, m)
		}
	}
	return maps
}

// TestPrograms: prefixes are addresses, bindings name their routes, and the secrets of knocks are not there.
func TestPrograms(t *testing.T) {
	c := &config.Config{Routes: []*config.Route{tabletest.Route("web", "80", "192.0.2.0/24", "2001:db8:1::/48")}}
	open(t, c)
	maps := read(t)
	all, err := json.Marshal(maps)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"addr":"192.0.2.0"`, `"addr":"2001:db8:1::"`, `"route":"web"`, `"verdict":"STEER"`, `"lo":81`} {
		if !strings.Contains(string(all), want) {
			t.Errorf("%s is missing in %s", want, all)
		}
	}
	for name, m := range maps {
		secret := strings.HasPrefix(name, "knock") || name == "opened_doors"
		if withheld := secret || m.Type == "RingBuf"; withheld != (m.Withheld != "") || withheld && len(m.Entries) > 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if _, ok := maps["knock_setup"]; !ok {
		t.Error("no map of knocks: what was withheld?")
	}
	if n := len(maps["sockets"].Entries); n < 2 {
		t.Errorf("%d sockets", n)
	}
}

// TestPerCPU: of counters it shows the sum, of other values one for each CPU.
func TestPerCPU(t *testing.T) {
	netnstest.InNamespace(t)
	spec, err := bpf.LoadSteer()
	if err != nil {
		t.Fatal(err)
	}
	collection, err := ebpf.NewCollection(&ebpf.CollectionSpec{Maps: map[string]*ebpf.MapSpec{"scan_share": spec.Maps[bpf.SteerMapScanShare]}})
	if err != nil {
		t.Fatal(err)
	}
	defer collection.Close()
	share, cpus := collection.Maps["scan_share"], ebpf.MustPossibleCPU()
	parts := make([]bpf.SteerScanShare, cpus)
	parts[cpus-1].Reported = 7
	if err := share.Put(uint32(0), parts); err != nil {
		t.Fatal(err)
	}
	entries := dump.Entries(share, spec.Maps[bpf.SteerMapScanShare])
	if len(entries) != 1 {
		t.Fatalf("%+v", entries)
	}
	list, _ := entries[0].Value.([]any)
	if len(list) != cpus || list[cpus-1].(map[string]any)["reported"] != uint64(7) {
		t.Errorf("%+v, want 7 reported by the last of %d CPUs", entries[0].Value, cpus)
	}
}

// TestBounded: of many prefixes it shows some, and says so.
func TestBounded(t *testing.T) {
	open(t, tabletest.ManyPrefixes(4000, "web"))
	for name, m := range read(t) {
		if many := strings.HasPrefix(name, "prefixes_"); m.Truncated != many || many && len(m.Entries) != 1000 {
			t.Errorf("%s: truncated %v, %d entries", name, m.Truncated, len(m.Entries))
		}
	}
}

// TestNone: without a program there is an empty answer.
func TestNone(t *testing.T) {
	netnstest.InNamespace(t)
	if programs, err := dump.Programs(); len(programs) > 0 || err != nil {
		t.Errorf("%+v, %v", programs, err)
	}
}
