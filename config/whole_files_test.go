package config

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTruncated reads the reference cut off at every few bytes, as a full disk or an editor
// leaves it: it is read, or it has problems that print well.
func TestTruncated(t *testing.T) {
	text := reference()
	for end := 0; end < len(text); end += 37 {
		if _, err := Parse("x", []byte(text[:end])); err != nil {
			checkProblems(t, err, text[:end])
		}
		if t.Failed() {
			t.Fatalf("cut after %d bytes: %q", end, text[max(0, end-60):end])
		}
	}
}

// TestAdminSocketAgrees: of a valid file the socket is what Load reads, whatever else it holds.
func TestAdminSocketAgrees(t *testing.T) {
	path := filepath.Join(t.TempDir(), "anyport.toml")
	every, err := os.ReadFile("testdata/every_key.toml")
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{reference(), string(every), plainFile, "\ufeff" + plainFile, "admin = { socket = '/tmp/x' }\n" + plainFile, "admin.socket = \"\"\n" + plainFile, plainFile + "[admin]\nhttp = \"\"\n"}
	for _, text := range append(texts, habitTexts(t)...) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(path)
		socket, known, broken := AdminSocket(path)
		if (err == nil) != (broken == nil) {
			t.Errorf("Load: %v; AdminSocket: %v; of\n%s", err, broken, text)
		}
		if err == nil && (!known || socket != cfg.Admin.Socket) {
			t.Errorf("%q, %t, want %q of\n%s", socket, known, cfg.Admin.Socket, text)
		}
	}
}

// randomFile has a few of a few routes, each with a few of a few prefixes.
func randomFile(random *rand.Rand) string {
	var b strings.Builder
	for _, i := range random.Perm(4)[:1+random.IntN(4)] {
		var list []string
		for _, j := range random.Perm(4)[:1+random.IntN(4)] {
			list = append(list, fmt.Sprintf(`"10.%d.%d.0/24"`, i, j))
		}
		fmt.Fprintf(&b, "[route.r%d]\nprotocol = \"tcp\"\naction = \"drop\"\nnew_conns_per_second = %d\nprefixes = [%s]\n", i, random.IntN(3), strings.Join(list, ", "))
	}
	return b.String()
}

// TestCompareBackwards: a diff read backwards is the diff of the way back, its routes are by
// name, and none of its lists is nil, which JSON would have as null.
func TestCompareBackwards(t *testing.T) {
	random := rand.New(rand.NewPCG(31, 32))
	for range 500 {
		before, after := parse(t, randomFile(random)), parse(t, randomFile(random))
		there, back := Compare(before, after), Compare(after, before)
		for _, d := range []Diff{there, back} {
			checkLists(t, d)
		}
		if diff := cmp.Diff(there, backwards(back), cmp.Transformer("set", sorted)); diff != "" {
			t.Fatalf("-there +back, read backwards:\n%s", diff)
		}
	}
}

func sorted(all []string) map[string]int {
	set := map[string]int{}
	for _, s := range all {
		set[s]++
	}
	return set
}

func checkLists(t *testing.T, d Diff) {
	t.Helper()
	if d.Keys == nil || d.Routes == nil || !slices.IsSortedFunc(d.Routes, func(a, b RouteDiff) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("a list is nil or not sorted: %+v", d)
	}
	for _, r := range d.Routes {
		if r.PrefixesAdded == nil || r.PrefixesRemoved == nil || r.Keys == nil {
			t.Errorf("a list is nil: %+v", r)
		}
	}
}

// backwards exchanges old and new, added and removed.
func backwards(d Diff) Diff {
	turned := map[Change]Change{Added: Removed, Removed: Added, Changed: Changed}
	keys := func(all []KeyDiff) []KeyDiff {
		out := []KeyDiff{}
		for _, k := range all {
			out = append(out, KeyDiff{k.Key, k.New, k.Old})
		}
		return out
	}
	out := Diff{Keys: keys(d.Keys), Routes: []RouteDiff{}}
	for _, r := range d.Routes {
		out.Routes = append(out.Routes, RouteDiff{r.Name, turned[r.Change], r.PrefixesRemoved, r.PrefixesAdded, keys(r.Keys)})
	}
	return out
}

// TestCutInParts: which texts are cut, and that the parts are the text.
func TestCutInParts(t *testing.T) {
	const a, b = "[route.a]\nx = 1\n", "[route.b] # b\nx = 1\n[route.b.health]\ny = 2\n"
	for name, test := range map[string]struct {
		text  string
		parts int // 0: not cut
	}{
		"routes alone":         {a + b, 2},
		"a head":               {"[listen]\nworkers = 1\n" + a, 1},
		"CRLF":                 {strings.ReplaceAll(a+b, "\n", "\r\n"), 2},
		"no last newline":      {strings.TrimSpace(a + b), 2},
		"a section behind":     {a + "[listen]\n", 0},
		"a table of another":   {a + "[route.b.health]\n", 0},
		"a route twice":        {a + a, 0},
		"a quoted name":        {"[route.\"a\"]\n", 0},
		"a list of routes":     {"[[route.a]]\n", 0},
		"a long string":        {a + "x = \"\"\"\n[route.b]\n\"\"\"\n", 0},
		"a list over lines":    {a + "x = [\n  [1],\n]\n", 0},
		"no route":             {"[listen]\n", 0},
		"nothing":              {"", 0},
		"a dotted key in head": {"route.a.x = 1\n", 0},
	} {
		p, ok := cutInParts(test.text, 1)
		if ok != (test.parts > 0) || ok && len(p.routes) != test.parts {
			t.Errorf("%s: %t, %d parts, want %d", name, ok, len(p.routes), test.parts)
		}
		if ok && p.head+strings.Join(p.routes, "") != test.text {
			t.Errorf("%s: the parts are not the text: %q", name, p)
		}
		for path, offset := range p.headers {
			if ok && !strings.HasPrefix(test.text[offset:], "["+path+"]") {
				t.Errorf("%s: %s is not at %d", name, path, offset)
			}
		}
	}
}
