package integration

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"
)

// TestPeersSpeed compares conns whose packets come by a peer with those whose packets come from the router:
// bulk, and the time of a round trip.
func TestPeersSpeed(t *testing.T) {
	onlyQuiet(t)
	const size, rounds, trips = 128 << 20, 5, 2000
	f := startPeers(t, peerOptions{edges: 2, use: []int{1}})
	f.origin.serve(t, originV4+":4800", func(conn net.Conn) { // counts what it gets
		n, _ := io.Copy(io.Discard, conn)
		binary.Write(conn, binary.BigEndian, n)
	})
	f.origin.serve(t, originV4+":4801", echo)
	f.origin.serve(t, originV4+":4802", func(conn net.Conn) { io.CopyN(conn, zeros{}, size) })
	figures := map[string][]float64{}
	note := func(what string, value float64) { figures[what] = append(figures[what], value) }
	for range rounds {
		for _, way := range []struct {
			name  string
			edges []*peerEdge
		}{{"direct", f.only(1)}, {"by a peer", f.only(2)}} {
			f.hash(t, f.only(1)...)
			up, pings, down := f.client.dial(t, "tcp", dstV4+":4800"), f.client.dial(t, "tcp", dstV4+":4801"), f.client.dial(t, "tcp", dstV4+":4802")
			f.hash(t, way.edges...)
			note("up, Gbit/s, "+way.name, gigabits(size, func() error { return sendCounted(up, size) }, t))
			note("down, Gbit/s, "+way.name, gigabits(size, func() error {
				_, err := io.CopyN(io.Discard, down, size)
				return err
			}, t))
			note("round trip, µs, "+way.name, medianTrip(t, pings, trips))
			for _, conn := range []net.Conn{up, pings, down} {
				conn.Close()
			}
		}
	}
	median := mediansOf(t, figures)
	for _, what := range []string{"up, Gbit/s, ", "down, Gbit/s, "} {
		if ratio := median[what+"by a peer"] / median[what+"direct"]; ratio < 0.5 {
			t.Errorf("%sby a peer is %.2f of direct, want 0.5", what, ratio)
		}
	}
	if more := median["round trip, µs, by a peer"] - median["round trip, µs, direct"]; more > 100 {
		t.Errorf("a round trip takes %.0f µs more by a peer, want at most 100", more)
	}
	for _, e := range f.edges {
		t.Logf("%s: %v", e.Name, e.proxy.status(t).Peers.Packets)
	}
}

// TestPeersGarbageSpeed says what 10,000 packets a second of conns that nobody has cost three hosts that ask each
// other, beside what the same packets cost until they reach a router that drops them.
func TestPeersGarbageSpeed(t *testing.T) {
	onlyQuiet(t)
	const perSecond, rounds, long = 10_000, 5, 3 * time.Second
	f := startPeers(t, peerOptions{edges: 3, use: []int{1, 2, 3}})
	const dropped = "198.18.0.1"
	f.router.output(t, "ip", "route", "add", "blackhole", dropped)
	busyWith := func(to string) string { return "cores, to " + to }
	figures := map[string][]float64{}
	for range rounds {
		for _, to := range []string{dropped, dstV4} {
			addr := netip.MustParseAddr(to)
			stop := f.client.forge(t, addr, perSecond, garbage(addr))
			busy, begun := busyTime(t), time.Now()
			time.Sleep(long)
			share := (busyTime(t) - busy).Seconds() / time.Since(begun).Seconds()
			if sent := float64(stop()) / time.Since(begun).Seconds(); sent < 0.8*perSecond {
				t.Fatalf("only %.0f packets a second were sent", sent)
			}
			figures[busyWith(to)] = append(figures[busyWith(to)], share)
		}
	}
	median := mediansOf(t, figures)
	if cost := median[busyWith(dstV4)] - median[busyWith(dropped)]; cost > 0.5 {
		t.Errorf("the garbage costs three hosts %.2f of a core, want at most 0.5", cost)
	}
	for _, e := range f.edges {
		t.Logf("%s: %v", e.Name, e.proxy.status(t).Peers.Packets)
	}
}

// mediansOf sorts the values of each figure, logs them, and returns their medians.
func mediansOf(t *testing.T, figures map[string][]float64) map[string]float64 {
	t.Helper()
	median := map[string]float64{}
	for what, values := range figures {
		slices.Sort(values)
		median[what] = values[len(values)/2]
		t.Logf("%-28s median %.4g (%.4g to %.4g, n %d)", what, median[what], values[0], values[len(values)-1], len(values))
	}
	return median
}

// busyTime is the CPU time of all that this machine did, by /proc/stat.
func busyTime(t *testing.T) time.Duration {
	t.Helper()
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	var user, nice, system, idle, iowait, irq, softirq int64
	if _, err := fmt.Sscanf(string(b), "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq); err != nil {
		t.Fatal("/proc/stat:", err)
	}
	return time.Duration(user+nice+system+irq+softirq) * 10 * time.Millisecond // USER_HZ is 100
}

// zeros is an endless source.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// sendCounted sends size bytes, and waits until the origin has counted them.
func sendCounted(conn net.Conn, size int64) error {
	if _, err := io.CopyN(conn, zeros{}, size); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	var n int64
	return binary.Read(conn, binary.BigEndian, &n)
}

// gigabits is how many a second do needs for bytes.
func gigabits(bytes int64, do func() error, t *testing.T) float64 {
	t.Helper()
	begun := time.Now()
	if err := do(); err != nil {
		t.Fatal(err)
	}
	return float64(bytes) * 8 / time.Since(begun).Seconds() / 1e9
}

// medianTrip is the median of some, in µs.
func medianTrip(t *testing.T, conn net.Conn, trips int) float64 {
	t.Helper()
	conn.SetDeadline(time.Now().Add(3 * patience))
	var took []float64
	piece := make([]byte, 64)
	for range trips {
		begun := time.Now()
		if _, err := conn.Write(piece); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, piece); err != nil {
			t.Fatal(err)
		}
		took = append(took, float64(time.Since(begun).Nanoseconds())/1000)
	}
	slices.Sort(took)
	return took[len(took)/2]
}
