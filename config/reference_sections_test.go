package config

import (
	"slices"
	"strings"
	"testing"
)

// TestReferenceTables checks that the tables have every key that reference.toml has, in its
// order: those who show them in another form leave none out.
func TestReferenceTables(t *testing.T) {
	rest := reference()
	for _, table := range Reference() {
		for _, key := range table.Keys {
			at := strings.Index(rest, key.Line)
			if at < 0 {
				t.Fatalf("%s: reference.toml does not have %q, or has it earlier", table.Header, key.Line)
			}
			if between := rest[:at]; strings.Contains(between, "\n"+strings.SplitN(key.Line, " ", 2)[0]+" = ") {
				t.Errorf("%s: %q comes later than in reference.toml", table.Header, key.Line)
			}
			rest = rest[at+len(key.Line):]
		}
	}
	for line := range strings.Lines(reference()) {
		header, _, closed := strings.Cut(strings.TrimPrefix(line, "# "), "]")
		if !closed || !strings.HasPrefix(header, "[") {
			continue
		}
		header = strings.Replace(header, "route.game", "route.NAME", 1) + "]"
		if !slices.ContainsFunc(Reference(), func(table ReferenceTable) bool { return table.Header == header }) {
			t.Errorf("no table is %s", header)
		}
	}
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
			t.Errorf("no table has %q", line)
		}
	}
}
