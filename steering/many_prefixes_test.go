package steering

import (
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"anyport/config"
	"anyport/steering/internal/tabletest"
)

// fromEnv is a number from the environment, for a run that takes longer.
func fromEnv(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestManyPrefixes replaces one table of many prefixes by another, both of which are in
// the kernel at once, and tells what that takes. ANYPORT_PREFIXES=1000000 is many.
func TestManyPrefixes(t *testing.T) {
	n := fromEnv(t, "ANYPORT_PREFIXES", 5_000)
	s := open(t, &config.Config{})
	j := newJudge(t, s)
	for _, name := range []string{"one", "other"} {
		cfg := tabletest.ManyPrefixes(n, name)
		begun := time.Now()
		table := tabletest.Compile(t, cfg.Routes...)
		compiled := time.Now()
		if err := s.Replace(withListen(cfg), table); err != nil {
			t.Fatal(err)
		}
		replaced := time.Now()
		t.Logf("%d prefixes: compiled in %v, in service in %v; heap %d MiB", table.Prefixes(), compiled.Sub(begun), replaced.Sub(compiled), heap())
		random := rand.New(rand.NewPCG(1, 1))
		for range 2_000 {
			dst := netip.AddrPortFrom(cfg.Routes[random.IntN(2)].Prefixes[random.IntN(n/2)].Addr(), uint16(1+random.IntN(65535)))
			want := table.Decide(config.TCP, dst, netip.Addr{}).Verdict
			if got := j.verdict(t, config.TCP, dst, dst.Addr()); got != want {
				t.Fatalf("%s: %s, want %s", dst, got, want)
			}
		}
		t.Logf("2,000 looks, each by a call of its own, in %v", time.Since(replaced))
	}
	checkDrift(t, s)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc >> 20
}
