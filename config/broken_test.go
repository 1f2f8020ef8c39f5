package config

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the messages as they are into testdata")

// TestBroken reads testdata/broken: files that must be refused, each with all it
// must be told, to the letter.
func TestBroken(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata/broken: %v", err)
	}
	for _, file := range files {
		cases := brokenCases(t, file)
		for i := range cases {
			c := &cases[i]
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+c.name, func(t *testing.T) {
				cfg, err := Parse("anyport.toml", []byte(c.text))
				var problems Problems
				if cfg != nil || !errors.As(err, &problems) {
					t.Fatalf("got %v, %v; want no Config, and Problems", cfg, err)
				}
				if *update {
					c.message = err.Error() + "\n"
				}
				if diff := cmp.Diff(c.message, err.Error()+"\n"); diff != "" {
					t.Errorf("message (-want +got):\n%s", diff)
				}
			})
		}
		if *update {
			writeCases(t, file, cases)
		}
	}
}

func writeCases(t *testing.T, file string, cases []brokenCase) {
	t.Helper()
	var all strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&all, "=== %s\n%s--- error\n%s", c.name, c.text, c.message)
	}
	if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
		t.Fatal(err)
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
