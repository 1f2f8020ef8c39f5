package scans

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"anyport/config"
)

var (
	noon   = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	served = netip.MustParsePrefix("192.0.2.0/24")
)

func packet(client string, port uint16) Packet {
	return Packet{config.TCP, netip.MustParseAddr(client), netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), port), served}
}

// TestTable: a scanner appears as a client and with its network, its ports are counted, and so are the clients of each
// port.
func TestTable(t *testing.T) {
	table := NewTable(noon)
	table.Add(noon.Add(time.Second), []Packet{packet("198.51.100.7", 22), packet("198.51.100.7", 22), packet("198.51.100.8", 22), packet("2001:db8:f::1", 22)})
	table.Add(noon.Add(time.Minute), []Packet{packet("198.51.100.7", 23), packet("2001:db8:f::2", 23), packet("2001:db8:f:ff::", 443)})
	clients := map[string]int{"198.51.100.7/32": 2, "198.51.100.8/32": 1, "2001:db8:f::/64": 2, "2001:db8:f:ff::/64": 1}
	networks := map[string]int{"198.51.100.0/24": 2, "2001:db8:f::/56": 3}
	ports := map[uint16]int{22: 3, 23: 2, 443: 1}
	table.Report(noon.Add(time.Minute), 100, func(r Report) {
		if r.Packets != 7 || !r.Since.Equal(noon) || r.Displaced || len(r.Clients) != len(clients) || len(r.Networks) != len(networks) || len(r.Ports) != len(ports) {
			t.Errorf("%+v", r)
		}
		for _, c := range r.Clients {
			if n, exact := c.Value.Count(); n != clients[c.Key.String()] || !exact {
				t.Errorf("%s has %d ports", c.Key, n)
			}
		}
		for _, c := range r.Networks {
			if n, _ := c.Value.Count(); n != networks[c.Key.String()] {
				t.Errorf("%s has %d ports", c.Key, n)
			}
		}
		for _, p := range r.Ports {
			if n, _ := p.Value.Count(); n != ports[p.Key.Port] || p.Key.Prefix != served {
				t.Errorf("%+v has %d clients", p.Key, n)
			}
		}
		busiest := r.Clients[0]
		if protocol, port := PortOf(busiest.Value.Listed()[1]); busiest.Packets != 3 || protocol != config.TCP || port != 23 || !busiest.Since.Equal(noon.Add(time.Second)) || !busiest.Last.Equal(noon.Add(time.Minute)) {
			t.Errorf("%+v, %s %d", busiest, protocol, port)
		}
	})
}

// TestTableForgets: a day after its last packet, nothing of a client is left.
func TestTableForgets(t *testing.T) {
	for after, want := range map[time.Duration]int{23 * time.Hour: 2, 26 * time.Hour: 1, 50 * time.Hour: 0, 1000 * time.Hour: 0} {
		t.Run(after.String(), func(t *testing.T) {
			table := NewTable(noon)
			table.Add(noon, []Packet{packet("198.51.100.7", 22)})
			table.Add(noon.Add(20*time.Hour), []Packet{packet("198.51.100.8", 23)})
			if n := table.Clients(noon.Add(after)); n != want {
				t.Errorf("%d clients, want %d", n, want)
			}
		})
	}
}

// TestProbed compares the counters of ports with a log of the packets: those of this hour and of the one before.
func TestProbed(t *testing.T) {
	type probe struct {
		at   time.Time
		port uint16
	}
	random := rand.New(rand.NewPCG(3, 4))
	table, log, now := NewTable(noon), []probe{}, noon
	for range 3000 {
		now = now.Add(time.Duration(random.IntN(10)) * time.Second)
		if random.IntN(300) == 0 {
			now = now.Add(time.Duration(random.IntN(200)) * time.Minute)
		}
		p := packet("198.51.100.7", uint16(random.IntN(600)))
		table.Add(now, []Packet{p})
		log = append(log, probe{now, p.Dst.Port()})
		if random.IntN(10) > 0 {
			continue
		}
		want := map[uint16]int{}
		from := max(now.Sub(noon).Truncate(time.Hour)-time.Hour, 0)
		for _, p := range log {
			if !p.at.Before(noon.Add(from)) {
				want[p.port]++
			}
		}
		since, got, ok := table.Probed(now, served, config.TCP)
		if !ok || !since.Equal(noon.Add(from)) || len(got) != len(want) {
			t.Fatalf("%d ports since %s, %t; want %d since %s", len(got), since, ok, len(want), from)
		}
		for i, p := range got {
			if want[p.Port] != p.Packets || i > 0 && got[i-1].Port >= p.Port {
				t.Fatalf("port %d got %d, want %d", p.Port, p.Packets, want[p.Port])
			}
		}
	}
	if _, got, ok := table.Probed(now, served, config.UDP); len(got) > 0 || !ok {
		t.Errorf("over UDP %v, %t", got, ok)
	}
}

// TestTableBounded: a flood from random addresses to random ports of many prefixes takes no more than the bounds, and
// who sends much is still in it.
func TestTableBounded(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	table, now := NewTable(noon), noon
	for range 300 {
		now = now.Add(time.Second)
		var all []Packet
		for range 1000 {
			client, dst := random.Uint32(), random.Uint32()
			addr := func(n uint32) netip.Addr {
				return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
			}
			prefix, _ := addr(dst).Prefix(16)
			all = append(all, Packet{config.UDP, addr(client), netip.AddrPortFrom(addr(dst), uint16(random.Uint32())), prefix})
		}
		table.Add(now, append(all, packet("198.51.100.7", 22), packet("198.51.100.7", 22)))
	}
	table.Report(now, 1, func(r Report) {
		if !r.Displaced || len(r.Clients) != 1 || r.Clients[0].Key.String() != "198.51.100.7/32" || r.Clients[0].Packets < 500 {
			t.Errorf("%+v", r.Clients)
		}
	})
	if len(table.clients.entries) != mostClients || len(table.networks.entries) != mostClients || len(table.ports.entries) != mostPorts || len(table.grids.entries) != 2*mostPrefixes {
		t.Error("more or less than there is room for")
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	runtime.KeepAlive(table)
	table = nil
	runtime.GC()
	runtime.ReadMemStats(&after)
	if held := int64(before.HeapAlloc) - int64(after.HeapAlloc); held > 12<<20 {
		t.Errorf("the table held %d KiB", held>>10)
	} else {
		t.Logf("the table held %d KiB", held>>10)
	}
}

func BenchmarkFlood(b *testing.B) {
	random, table := rand.New(rand.NewPCG(7, 8)), NewTable(noon)
	all := make([]Packet, 1000)
	for b.Loop() {
		for i := range all {
			n := random.Uint32()
			all[i] = packet("198.51.100.7", uint16(n))
			all[i].Client = netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		}
		table.Add(noon, all)
	}
}
