package daemon

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"anyport/cmd/anyport/internal/saved"
	"anyport/proxy"
	"anyport/steering"
	"anyport/steering/table"
)

// kernelCounters adds to what the kernel counts what it had counted with another program before: a program
// of another build begins at zero. Its methods may be called from any goroutine.
type kernelCounters struct {
	mu      sync.Mutex
	before  map[string]map[table.Verdict]uint64 // by route; nil: nothing is kept
	shown   []steering.Counters                 // the last sums, for the next process
	program uint32                              // that counts
}

// Keys of the saved counters. They are values of the process that served last: see [saved.Latest].
const (
	keyProgram = "=kernel/program"
	keyBefore  = "=kernel/before/"
	keyShown   = "=kernel/shown/"
)

// restore goes on from what another process has saved, with the program that counts now.
func (k *kernelCounters) restore(counts saved.Counts, program uint32) {
	from := keyShown
	if counts[proxy.CounterID{Key: keyProgram}] == uint64(program) { // it still has all but what was before it
		from = keyBefore
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.program, k.before = program, map[string]map[table.Verdict]uint64{}
	for id, n := range counts {
		if verdict, ok := strings.CutPrefix(id.Key, from); ok {
			if k.before[id.Route] == nil {
				k.before[id.Route] = map[table.Verdict]uint64{}
			}
			k.before[id.Route][table.Verdict(verdict)] = n
		}
	}
}

// add adds what was counted before to what the kernel says.
func (k *kernelCounters) add(now []steering.Counters) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.before == nil || len(now) == 0 { // or the steering is closed
		return
	}
	for _, c := range now {
		for v, n := range k.before[c.Route] {
			c.Verdicts[v] += n
		}
	}
	k.shown = now
}

// addSum adds what was counted before, of all routes, to a sum of what the kernel says.
func (k *kernelCounters) addSum(now map[table.Verdict]uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now == nil { // the steering is closed
		return
	}
	for _, verdicts := range k.before {
		for v, n := range verdicts {
			now[v] += n
		}
	}
}

// only forgets routes that are not served any more.
func (k *kernelCounters) only(serving map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.before, func(route string, _ map[table.Verdict]uint64) bool { return route != "" && !serving[route] })
	k.shown = slices.DeleteFunc(slices.Clone(k.shown), func(c steering.Counters) bool { return c.Route != "" && !serving[c.Route] })
}

// each yields the counters for the next process.
func (k *kernelCounters) each(yield func(proxy.CounterID, uint64)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	yield(proxy.CounterID{Key: keyProgram}, uint64(k.program))
	for _, c := range k.shown {
		for v, n := range c.Verdicts {
			yield(proxy.CounterID{Route: c.Route, Key: keyShown + string(v)}, n)
		}
	}
	for route, verdicts := range k.before {
		for v, n := range verdicts {
			yield(proxy.CounterID{Route: route, Key: keyBefore + string(v)}, n)
		}
	}
}
