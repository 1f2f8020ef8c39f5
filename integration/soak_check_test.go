package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestSoakRunsAll: what make test leaves to make soak is among the tests that make soak names.
func TestSoakRunsAll(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^SOAK = (\S+)$`).FindSubmatch(makefile)
	if list == nil {
		t.Fatal("the Makefile has no SOAK")
	}
	soaked := regexp.MustCompile(string(list[1]))
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	left := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`func (Test\w+)\(t \*testing\.T\) \{\n\tonlySoak\(t\)`).FindAllSubmatch(text, -1) {
			if left++; !soaked.Match(name[1]) {
				t.Errorf("%s: %s is in neither: add it to SOAK in the Makefile", file, name[1])
			}
		}
	}
	if left == 0 {
		t.Error("no test is left to make soak: has onlySoak another name?")
	}
}
