package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// combined are the options that TestCombinations combines. To add one, list its values
// here, the default first, and implement them in combination.file, or in its other methods.
var combined = []option{
	{"user", []string{"", "65534"}},
	{"log.access", []string{"", "file", "stderr"}},
	{"log.format", []string{"text", "json"}},
	{"pin", []string{"auto", "", "bpffs"}}, // without a bpffs, auto means a device that ends with the process
	{"store", []string{"off", "on"}},
	{"udp", []string{"sockets", "spp", "egress"}},
	{"fast_path", []string{"auto", "off"}},
	{"family", []string{"IPv4", "IPv6"}},
	{"tcp", []string{"plain", "v2"}},
	{"workers", []string{"1", "2"}},
	{"admin.http", []string{"", "on"}},
	{"max_flows", []string{"262144", "4096"}},
	{"manage_routes", []string{"true", "false"}},
	{"mirror_closed", []string{"false", "true"}},
	{"drained", []string{"no", "yes"}},
	{"orders by", []string{"command", "signal"}},
	{"limits", []string{"none", "all"}},
	{"health", []string{"off", "tcp"}},
	{"source", []string{"any", "edge", "client"}}, // client: transparent
	{"balance", []string{"round_robin", "least_conn", "random", "source_hash", "first"}},
	{"return", []string{"at once", "slowly"}}, // of an origin that was down
	{"clients", []string{"all", "listed"}},
	{"origins", []string{"address", "name"}},
	{"knock", []string{"none", "ports", "spa"}},
	{"hours", []string{"always", "keep", "close"}}, // the latter two of a route that is in force for some hours more
}

// goTogether is false for values that the file refuses together.
func goTogether(c choice) bool {
	return (c["udp"] != "egress" || c["workers"] != "2") && (c["source"] != "client" || c["manage_routes"] != "false")
}

// TestCombinations runs a start, a reload, two upgrades, a kill, a new start and a stop
// with a few choices of options that together have every pair of values. The output
// (-v) has a table of the pairs. If a pair is faulty, all choices that have it fail.
func TestCombinations(t *testing.T) {
	t.Parallel()
	choices := cover(combined, goTogether)
	var mu sync.Mutex
	failed := map[int]bool{}
	t.Run("choices", func(t *testing.T) { // ends after all of them
		for n, c := range choices {
			t.Run(fmt.Sprint(n+1), func(t *testing.T) {
				t.Parallel()
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					failed[n] = t.Failed()
				}()
				t.Logf("%v", c)
				(&combination{choice: c}).live(t)
			})
		}
	})
	tabulate(t, choices, failed)
}

// tabulate prints which choices had each pair. It names the values that occur only in
// failed choices, and such pairs of other values.
func tabulate(t *testing.T, choices []choice, failed map[int]bool) {
	t.Helper()
	all := pairings(combined, goTogether)
	width := 0
	for _, p := range all {
		width = max(width, len([]rune(p.String())))
	}
	var table strings.Builder
	suspects := suspectValues(t, choices, failed)
	for _, p := range all {
		with, went := tried(choices, failed, p.in)
		verdict := "ok"
		switch {
		case len(with) == 0:
			t.Errorf("%v was not tried", p)
		case !went:
			verdict = "FAILED"
			if !suspects[p.a+"="+p.valueA] && !suspects[p.b+"="+p.valueB] {
				t.Errorf("%v failed wherever it was tried", p)
			}
		}
		fmt.Fprintf(&table, "%-*s  %-6s  %s\n", width, p, verdict, strings.Join(with, " "))
	}
	t.Logf("%d pairs of values in %d choices:\n%s", len(all), len(choices), &table)
}

// tried returns the numbers of the choices that have something, and whether one succeeded.
func tried(choices []choice, failed map[int]bool, has func(choice) bool) (with []string, went bool) {
	for n, c := range choices {
		if has(c) {
			with, went = append(with, fmt.Sprint(n+1)), went || !failed[n]
		}
	}
	return with, went
}

// suspectValues are the values that failed in every choice that had them.
func suspectValues(t *testing.T, choices []choice, failed map[int]bool) map[string]bool {
	t.Helper()
	suspects := map[string]bool{}
	for _, o := range combined {
		for _, value := range o.values {
			if _, went := tried(choices, failed, func(c choice) bool { return c.is(o.name, value) }); !went {
				suspects[o.name+"="+value] = true
				t.Errorf("%s=%s failed wherever it was tried", o.name, value)
			}
		}
	}
	return suspects
}

// is reports whether the option has one of the values.
func (c choice) is(name string, values ...string) bool { return slices.Contains(values, c[name]) }
