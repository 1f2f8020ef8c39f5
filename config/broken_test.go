package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBroken reads testdata/broken: files that must be refused, each with all it
// must be told, to the letter.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata/broken: %v", err)
	}
	for _, file := range files {
		for _, c := range brokenCases(t, file) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+c.name, func(t *testing.T) {
				cfg, err := Parse("anyport.toml", []byte(c.text))
				var problems Problems
				if cfg != nil || !errors.As(err, &problems) {
					t.Fatalf("got %v, %v; want no Config, and Problems", cfg, err)
				}
				if diff := cmp.Diff(c.message, err.Error()+"\n"); diff != "" {
					t.Errorf("message (-want +got):\n%s", diff)
				}
			})
		}
	}
}

type brokenCase struct{ name, text, message string }

// brokenCases reads cases of the form "=== NAME", the file, "--- error", the message.
func brokenCases(t testing.TB, file string) []brokenCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []brokenCase
	for _, part := range strings.Split("\n"+string(data), "\n=== ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		text, message, ok := strings.Cut(rest+"\n", "--- error\n")
		if !ok {
			t.Fatalf("%s: case %q lacks its error", file, name)
		}
		cases = append(cases, brokenCase{name, text, strings.TrimRight(message, "\n") + "\n"})
	}
	return cases
}
