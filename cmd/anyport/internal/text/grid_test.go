package text

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestGrid(t *testing.T) {
	g := Grid{
		Columns: []Column{{Head: "NAME", Flex: 4}, {Head: "N", Right: true}, {Head: "WHERE", Flex: 8}},
		Rows:    [][]string{{"a", "1", "[2001:db8:1::1]:65535"}, {"a-long-name", "12345", "x"}},
	}
	for width, want := range map[int]string{
		0: `NAME             N  WHERE
a                1  [2001:db8:1::1]:65535
a-long-name  12345  x
`,
		30: `NAME            N  WHERE
a               1  [2001…65535
a-lo…-name  12345  x
`,
		1: `NAME      N  WHERE
a         1  [20…5535
a…me  12345  x
`,
	} {
		var out strings.Builder
		if err := g.Write(&out, width); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("width %d: -want +got:\n%s", width, diff)
		}
	}
	for width := 25; width < 60; width++ {
		for _, line := range g.Lines(width) {
			if n := utf8.RuneCountInString(line); n > width {
				t.Errorf("width %d: %q has %d", width, line, n)
			}
		}
	}
}

func TestSizes(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 9: "9", 1023: "1023", 1024: "1.0K", 10239: "10.0K", 102400: "100K", 1 << 20: "1.0M", 1023 << 20: "1023M", 1 << 40: "1.0T"} {
		if got := Size(n); got != want {
			t.Errorf("%v: %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 99999: "99999", 100000: "100k", 1234567: "1.2M", 9876543210: "9.9G"} {
		if got := Number(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
