package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHabits reads testdata/habits: files as people write them who come from elsewhere.
// Each has to get its message to the letter, and whoever does what it says a file that
// is accepted. With -update the messages are written as they are.
func TestHabits(t *testing.T) {
	files, err := filepath.Glob("testdata/habits/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for _, file := range files {
		all := habitCases(t, file)
		cases += len(all)
		for _, c := range all {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+c.name, func(t *testing.T) { c.check(t) })
		}
		if *update {
			writeHabits(t, file, all)
		}
	}
	if cases < 350 {
		t.Errorf("%d cases: some of them are lost", cases)
	}
}

// A habitCase is a wrong file, what it is told, and what its reader does. Where the
// message says what to write in place of something, doing that is all; else does quotes
// the message, and fixed is the file once that is done.
type habitCase struct{ name, text, says, does, fixed string }

func (c *habitCase) check(t *testing.T) {
	problems := problemsOf(t, c.text)
	says := problems.Detail() + "\n"
	if *update {
		c.says = says
	}
	if diff := cmp.Diff(c.says, says); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if c.does != "" {
		if !strings.Contains(says, c.does) {
			t.Errorf("the message does not say %q:\n%s", c.does, says)
		}
		if _, err := Parse("anyport.toml", []byte(c.fixed)); err != nil {
			t.Errorf("who does %q gets:\n%v", c.does, err)
		}
		return
	}
	follow(t, c.text, problems)
}

// follow writes what the messages say, twice at most: what was not TOML may hide a key
// that is not known.
func follow(t *testing.T, text string, problems Problems) {
	t.Helper()
	for range 2 {
		text = obey(t, text, problems)
		_, err := Parse("anyport.toml", []byte(text))
		if !errors.As(err, &problems) {
			return
		}
	}
	t.Errorf("who does what is said gets:\n%v\nin:\n%s", problems, text)
}

// obey puts the Fix of each problem where its caret is, from the end of the file on.
func obey(t *testing.T, text string, problems Problems) string {
	t.Helper()
	lines := strings.Split(text, "\n")
	done := Problem{Line: len(lines) + 1}
	for _, p := range slices.Backward(problems) {
		if p.Fix == "" {
			t.Fatalf("%v\nsays nothing to write; the case needs a does", p)
		}
		if !strings.Contains(p.Text, "write "+p.Fix) && !strings.Contains(p.Text, "did you mean "+p.Fix) && !strings.Contains(p.Text, `did you mean "`+p.Fix) {
			t.Errorf("the Fix %s is not in %q", p.Fix, p.Text)
		}
		if p.Line == done.Line && p.Column+p.Length > done.Column {
			continue // the same again
		}
		line := []rune(lines[p.Line-1])
		lines[p.Line-1] = string(line[:p.Column-1]) + p.Fix + string(line[p.Column-1+p.Length:])
		done = p
	}
	return strings.Join(lines, "\n")
}

func problemsOf(t *testing.T, text string) Problems {
	t.Helper()
	cfg, err := Parse("anyport.toml", []byte(text))
	var problems Problems
	if cfg != nil || !errors.As(err, &problems) {
		t.Fatalf("got %v, %v; want no Config, and Problems", cfg, err)
	}
	return problems
}

// habitCases reads cases of the form "=== NAME", the file, "--- says", the message,
// and where needed "--- does: QUOTE", the file as corrected.
func habitCases(t testing.TB, file string) []*habitCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*habitCase
	for _, part := range strings.Split("\n"+strings.TrimSuffix(string(data), "\n"), "\n=== ")[1:] {
		c := &habitCase{}
		c.name, c.text, _ = strings.Cut(part+"\n", "\n")
		c.text, c.says, _ = strings.Cut(c.text, "--- says\n")
		c.says, c.fixed, _ = strings.Cut(c.says, "--- does: ")
		c.does, c.fixed, _ = strings.Cut(c.fixed, "\n")
		cases = append(cases, c)
	}
	return cases
}

func writeHabits(t *testing.T, file string, cases []*habitCase) {
	t.Helper()
	var all bytes.Buffer
	for _, c := range cases {
		fmt.Fprintf(&all, "=== %s\n%s--- says\n%s", c.name, c.text, c.says)
		if c.does != "" {
			fmt.Fprintf(&all, "--- does: %s\n%s\n", c.does, strings.TrimRight(c.fixed, "\n"))
		}
	}
	if err := os.WriteFile(file, all.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

const plainFile = "[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\"]\norigins = [\"10.0.0.5\"]\n"

// TestEditors holds what editors of other systems leave in a file and TOML allows.
func TestEditors(t *testing.T) {
	for name, text := range map[string]string{
		"a byte order mark": "\ufeff" + plainFile,
		"CRLF":              strings.ReplaceAll(plainFile, "\n", "\r\n"),
		"both":              "\ufeff" + strings.ReplaceAll(plainFile, "\n", "\r\n"),
		"tabs":              strings.ReplaceAll(plainFile, " = ", "\t=\t"),
		"no last newline":   strings.TrimRight(plainFile, "\n"),
	} {
		if cfg, err := Parse("anyport.toml", []byte(text)); err != nil || cfg.Routes[0].Line != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBytes holds files that are no text, and what else a test's own file cannot.
func TestBytes(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"a column behind a byte order mark", "\ufeff[rout.a]\n", `anyport.toml:1:2: rout: unknown key: did you mean "route"?` + "\n    1 | [rout.a]\n      |  ^^^^"},
		{"a caret behind tabs, with CRLF", "[route.a]\r\nprotocol\t=\t\"tpc\"\r\n", "anyport.toml:2:12: route \"a\": protocol: \"tpc\" is not one of \"tcp\" and \"udp\": did you mean \"tcp\"?\n    2 | protocol\t=\t\"tpc\"\n      |         \t \t^^^^^"},
		{"a column counts characters", "# ö\n[route.a]\nallow = [\"ü\", \"x\"]\n", "anyport.toml:3:15: route \"a\": allow[1]: "},
		{"a NUL", plainFile + "\x00\n", "anyport.toml:5:1: not TOML: TOML files cannot contain control characters: '0x00': remove it, or save the file as text in UTF-8\n    5 | \ufffd\n      | ^"},
		{"UTF-16", "\xff\xfe[\x00r\x00", "anyport.toml:1:1: not TOML: the file is UTF-16 or binary: save it as UTF-8"},
		{"Latin-1", plainFile + "# \xe9\n", "anyport.toml:5:3: not TOML: invalid UTF-8 byte: 0xe9: save the file as UTF-8\n    5 | # \ufffd\n      |   ^"},
		{"a long line", "[route.a]\nprefixes = [" + strings.Repeat(`"192.0.2.1", `, 90) + "\"x y\"]\n", "    2 | …0.2.1\", \"192.0.2.1\", \"192.0.2.1\", \"192.0.2.1\", \"192.0.2.1\", \"x y\"]\n      | " + strings.Repeat(" ", 61) + "^^^^^"},
	} {
		if got := problemsOf(t, test.text).Detail(); !strings.Contains(got, test.want) {
			t.Errorf("%s:\n%s\nwant\n%s", test.name, got, test.want)
		}
	}
}

// TestAmbiguousOrigin holds IPv6 addresses whose end may be meant as a port, and those
// that can be read in one way alone.
func TestAmbiguousOrigin(t *testing.T) {
	for address, ambiguous := range map[string]bool{
		"2001:db8::5:80":           true,
		"2001:db8::5:9999":         true,
		"fd00::a:1":                true,
		"::1:80":                   true,
		"2001:db8::5":              false, // 2001:db8: is no address
		"2001:db8::80":             false,
		"::80":                     false,
		"2001:db8:1:2:3:4:5:80":    false, // seven groups are none
		"2001:db8::5:80a":          false,
		"2001:db8::5:0":            false, // no port
		"2001:db8::5:080":          false, // nobody writes a port so
		"[2001:db8::5:80]":         false,
		"[2001:db8::5]:80":         false,
		"[2001:db8::5:80]:80-8000": false,
		"10.0.0.5:80":              false,
	} {
		_, err := parseOrigin(address)
		if got := err != nil && strings.Contains(err.Error(), "two ways"); got != ambiguous || err != nil && !got {
			t.Errorf("%s: %v, want ambiguous %v", address, err, ambiguous)
		}
	}
}
