package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// combined are the options that TestCombinations tries with each other. To add one, name its
// values here, the first one the default, and say in combination.file, or in its life, what
// they do.
var combined = []option{
	{"user", []string{"", "65534"}},
	{"log.access", []string{"", "file", "stderr"}},
	{"log.format", []string{"text", "json"}},
	{"pin", []string{"", "bpffs"}},
	{"store", []string{"off", "on"}},
	{"udp", []string{"sockets", "spp", "egress"}},
	{"workers", []string{"1", "2"}},
	{"admin.http", []string{"", "on"}},
	{"max_flows", []string{"262144", "4096"}},
	{"manage_routes", []string{"true", "false"}},
	{"mirror_closed", []string{"false", "true"}},
	{"drained", []string{"no", "yes"}},
	{"orders by", []string{"command", "signal"}},
}

// goTogether is false for values that the file refuses together.
func goTogether(c choice) bool { return c["udp"] != "egress" || c["workers"] != "2" }

// TestCombinations lives through a start, a reload, two upgrades, a kill, a new start and a
// stop with few choices of the options, which have every pair of values among them. In its
// output (-v) is a table of the pairs; where a pair is wrong, all choices that have it fail.
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

// tabulate writes down which choices had each pair, and names the pairs that never went well.
func tabulate(t *testing.T, choices []choice, failed map[int]bool) {
	t.Helper()
	var table strings.Builder
	all := pairings(combined, goTogether)
	width := 0
	for _, p := range all {
		width = max(width, len([]rune(p.String())))
	}
	for _, p := range all {
		var with []string
		went := false
		for n, c := range choices {
			if p.in(c) {
				with = append(with, fmt.Sprint(n+1))
				went = went || !failed[n]
			}
		}
		if len(with) == 0 {
			t.Errorf("%v was not tried", p)
		}
		verdict := "ok"
		if !went {
			verdict = "FAILED"
			t.Errorf("%v never went well", p)
		}
		fmt.Fprintf(&table, "%-*s  %-6s  %s\n", width, p, verdict, strings.Join(with, " "))
	}
	t.Logf("%d pairs of values in %d choices:\n%s", len(all), len(choices), &table)
}

// is reports whether the option has one of the values.
func (c choice) is(name string, values ...string) bool { return slices.Contains(values, c[name]) }
