package config

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// addSeeds gives a fuzz target all files that the other tests hold.
func addSeeds(f *testing.F) {
	files, err := filepath.Glob("testdata/broken/*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no cases in testdata/broken: %v", err)
	}
	for _, file := range files {
		for _, c := range brokenCases(f, file) {
			f.Add(c.text)
		}
	}
	habits, err := filepath.Glob("testdata/habits/*.txt")
	if err != nil || len(habits) == 0 {
		f.Fatalf("no cases in testdata/habits: %v", err)
	}
	for _, file := range habits {
		for _, c := range habitCases(f, file) {
			f.Add(c.text)
		}
	}
	reference, err := os.ReadFile("reference.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(reference))
}

// FuzzParse wants, of any text, either a Config that keeps its promises or problems
// that each stand on a line of their own and name a place in the file.
func FuzzParse(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := Parse("x", []byte(text))
		if err != nil {
			checkProblems(t, err, text)
			return
		}
		if len(cfg.Routes) == 0 {
			t.Error("no routes, and no error")
		}
		acceptedIsValid(t, text)
		checkEffective(t, text)
		for i, r := range cfg.Routes {
			checkPromises(t, r)
			for _, other := range cfg.Routes[:i] {
				checkNoTie(t, r, other, cfg.Routes)
			}
		}
	})
}

func checkProblems(t *testing.T, err error, text string) {
	t.Helper()
	var problems Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("%T %v, want Problems", err, err)
	}
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	last := 0
	for _, p := range problems {
		if p.Line < last || p.Line > len(lines) {
			t.Errorf("line %d after line %d: %v", p.Line, last, p)
		}
		last = p.Line
		checkPlace(t, p, lines)
		if p.File != "x" || p.Text == "" || strings.ContainsAny(p.String(), "\n\r\x1b") {
			t.Errorf("a problem that does not print well: %+v", p)
		}
	}
}

// checkPlace wants the caret of p on its line, or on the end of it.
func checkPlace(t *testing.T, p Problem, lines []string) {
	t.Helper()
	if p.Line == 0 { // the one that has no place: what is missing is all there should be
		if p.Column != 0 || p.Key != "route" {
			t.Errorf("no place: %v", p)
		}
		return
	}
	source := strings.TrimSuffix(lines[p.Line-1], "\r")
	last := p.Column - 1 + p.Length
	if p.Source != source || p.Column < 1 || p.Length < 1 || last > max(1, utf8.RuneCountInString(source)+1) {
		t.Errorf("column %d, length %d of %q: %v", p.Column, p.Length, source, p)
	}
	if detail := p.Detail(); strings.ContainsAny(detail, "\r\x1b") || p.Example == "" && strings.Count(detail, "\n") != 2 {
		t.Errorf("a place that does not print well: %q", detail)
	}
}

// checkPromises checks what the comments of Route say.
func checkPromises(t *testing.T, r *Route) {
	t.Helper()
	if len(r.Protocols) == 0 || len(r.Prefixes) == 0 || len(r.Ports) == 0 || r.Line == 0 {
		t.Errorf("incomplete: %+v", r)
	}
	for _, p := range slices.Concat(r.Prefixes, r.Allow, r.Deny) {
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
			t.Errorf("prefix %v", p)
		}
	}
	for _, p := range slices.Concat(r.Ports, r.ExceptPorts) {
		if p.First == 0 || p.First > p.Last {
			t.Errorf("ports %v", p)
		}
	}
	if (r.Action == Forward) != (len(r.Origins) > 0) {
		t.Errorf("action %v with %d origins", r.Action, len(r.Origins))
	}
	for _, o := range r.Origins {
		if o.Addr.IsValid() == (o.Host != "") || o.SRV && (o.Host == "" || o.Ports != PortRange{}) || o.Addr.Is4In6() || o.Port(r.Ports[0].First) == 0 || o.Port(r.Ports[0].Last) == 0 {
			t.Errorf("origin %+v", o)
		}
	}
	if r.Takes(UDP) && r.ProxyProtocol == ProxyV1 || r.Takes(TCP) && (r.ProxyProtocol == ProxySPP || r.ProxyProtocol == ProxyV2First) {
		t.Errorf("header %v for %v", r.ProxyProtocol, r.Protocols)
	}
}

// checkNoTie looks for a tie of two routes where a range of theirs begins or ends.
func checkNoTie(t *testing.T, a, b *Route, all []*Route) {
	t.Helper()
	for _, prefix := range a.Prefixes {
		if !slices.Contains(b.Prefixes, prefix) {
			continue
		}
		var owners []*Route
		for _, r := range all {
			if slices.Contains(r.Prefixes, prefix) {
				owners = append(owners, r)
			}
		}
		for _, ports := range slices.Concat(a.Ports, b.Ports, a.ExceptPorts, b.ExceptPorts) {
			for _, port := range []uint16{ports.First - 1, ports.First, ports.Last, ports.Last + 1} {
				for _, protocol := range []Protocol{TCP, UDP} {
					if won := winners(owners, protocol, port); len(won) > 1 {
						t.Errorf("%v port %d of %v: a tie of %v", protocol, port, prefix, names(won))
					}
				}
			}
		}
	}
}

// TestMutations is FuzzParse with what a careless hand does to good and wrong files:
// characters and lines that are lost, doubled or come from another file.
func TestMutations(t *testing.T) {
	seeds := habitTexts(t)
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		text := mutate(random, seeds)
		if _, err := Parse("x", []byte(text)); err != nil {
			checkProblems(t, err, text)
		}
		if t.Failed() {
			t.Fatalf("of %q", text)
		}
	}
}

// habitTexts are the wrong files of all habits, and the same files corrected.
func habitTexts(t *testing.T) (texts []string) {
	t.Helper()
	files, _ := filepath.Glob("testdata/habits/*.txt")
	for _, file := range files {
		for _, c := range habitCases(t, file) {
			texts = append(texts, c.text, c.fixed)
		}
	}
	return texts
}

var strays = []string{"[", "]", "{", "}", `"`, "'", "=", ",", ".", "#", "\n", "\r", "\t", "\x00", "\xff", "é", "\u2028", "“", "$", "-"}

func mutate(random *rand.Rand, seeds []string) string {
	text := seeds[random.IntN(len(seeds))]
	other := seeds[random.IntN(len(seeds))]
	cut := func(s string) (before, after string) {
		i := random.IntN(len(s) + 1)
		return s[:i], s[i:]
	}
	for range 1 + random.IntN(3) {
		before, after := cut(text)
		switch random.IntN(4) {
		case 0:
			_, after = cut(after)
		case 1:
			before += after
		case 2:
			_, end := cut(other)
			after = end + after
		case 3:
			before += strays[random.IntN(len(strays))]
		}
		text = before + after
	}
	return text
}
