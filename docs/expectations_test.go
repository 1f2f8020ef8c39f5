package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// namedTest is how a page names a test.
var namedTest = regexp.MustCompile("`((?:Test|Fuzz)\\w+)` of `([\\w/]+)`")

// TestExpectations: each row of the page names one test or more, and each test that a page names exists.
func TestExpectations(t *testing.T) {
	found := 0
	for _, path := range documents(t) {
		for _, l := range prose(t, path) {
			for _, m := range namedTest.FindAllStringSubmatch(l.text, -1) {
				found++
				if !hasTest(t, m[2], m[1]) {
					t.Errorf("%s:%d: %s has no %s", path, l.number, m[2], m[1])
				}
			}
		}
	}
	rows := 0
	for _, l := range prose(t, "reference/expectations.md") {
		if cells := l.cells(); l.isRow() && len(cells) == 3 && cells[0] != "expectation" && !strings.HasPrefix(cells[0], "---") {
			rows++
			if !namedTest.MatchString(l.text) {
				t.Errorf("line %d names no test: %s", l.number, l.text)
			}
		}
	}
	if rows < 40 || found < rows {
		t.Errorf("%d rows, %d tests", rows, found)
	}
}

// hasTest reports whether a package has a test of that name.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+name+"(t *testing.T)") || strings.Contains(string(text), "func "+name+"(f *testing.F)") {
			return true
		}
	}
	return false
}

// TestComparedMetrics: the metrics that the comparison with other programs names are documented.
func TestComparedMetrics(t *testing.T) {
	documented := map[string]bool{}
	for _, l := range prose(t, reference) {
		for _, name := range metricName.FindAllString(l.text, -1) {
			documented[name] = true
		}
	}
	found := 0
	for _, l := range prose(t, "reference/compared.md") {
		for _, name := range metricName.FindAllString(l.text, -1) {
			if found++; !documented[name] {
				t.Errorf("line %d: %s is not in %s", l.number, name, reference)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d metrics", found)
	}
}
