package position_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"anyport/config/position"
)

var pieces = []string{"a", "ü", "€", "\U0001f600", " ", "\t", "\n", "\r\n", "\xff", "xyz", "= 1"}

func randomText(random *rand.Rand, n int) string {
	var b strings.Builder
	for range random.IntN(n) {
		b.WriteString(pieces[random.IntN(len(pieces))])
	}
	return b.String()
}

// TestCaret compares lines and columns with those counted from the start of the file.
func TestCaret(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		text := randomText(random, 40)
		doc := position.NewDocument(text)
		for range 8 {
			start := random.IntN(len(text) + 1)
			end := start + random.IntN(len(text)-start+1)
			before := text[:start]
			line := 1 + strings.Count(before, "\n")
			begin := strings.LastIndexByte(before, '\n') + 1
			source, _, _ := strings.Cut(text[begin:], "\n")
			source = strings.TrimSuffix(source, "\r")
			got := doc.Caret(position.Between(start, end))
			if got.Line != line || got.Source != source || doc.Line(int32(start)) != line {
				t.Fatalf("%q at %d: line %d %q, want %d %q", text, start, got.Line, got.Source, line, source)
			}
			if want := columnOf(source, start-begin); got.Column != want {
				t.Fatalf("%q at %d: column %d, want %d", text, start, got.Column, want)
			}
			if !runeStarts(text, start) || !runeStarts(text, end) {
				continue
			}
			if most := utf8.RuneCountInString(source) - got.Column + 1; got.Length < 1 || got.Length > max(1, most) {
				t.Fatalf("%q from %d to %d: %d long, of %d", text, start, end, got.Length, most)
			}
		}
	}
}

// runeStarts reports whether offset is between two characters.
func runeStarts(text string, offset int) bool {
	return offset == len(text) || utf8.RuneStart(text[offset])
}

// columnOf counts the characters before the one that offset is in.
func columnOf(line string, offset int) int {
	column := 1
	for i := 0; i < min(offset, len(line)); column++ {
		_, size := utf8.DecodeRuneInString(line[i:])
		if i+size > offset {
			return column
		}
		i += size
	}
	return column
}

func TestJoin(t *testing.T) {
	for _, test := range [][3]string{
		{"", "a", "a"}, {"a", "b", "a.b"}, {"a.b", "c-d_9", "a.b.c-d_9"}, {"a", "", `a.""`}, {"a", "b.c", `a."b.c"`}, {"", "ü", `"ü"`}, {"a", `q"`, `a."q\""`},
	} {
		if got := position.Join(test[0], test[1]); got != test[2] {
			t.Errorf("%q, %q: %s, want %s", test[0], test[1], got, test[2])
		}
	}
}

func TestHeader(t *testing.T) {
	at := position.Scan("x = 1\n[route.a]\n[[ route . b ]] # c\n[ route . \"c.d\" ]\n[route.e.health]\n")
	for path, want := range map[string]string{
		"route.a": "[route.a]", "route.b[0]": "[[ route . b ]]", `route."c.d"`: `[ route . "c.d" ]`, "route.e.health": "[route.e.health]",
	} {
		all, ok := at.Header(path)
		if got := at.Source(all); !ok || got != want {
			t.Errorf("%s: %q, %t, want %q", path, got, ok, want)
		}
	}
	if all, ok := at.Header("x"); ok || at.Source(all) != "1" {
		t.Errorf("a key is no header: %q, %t", at.Source(all), ok)
	}
}

// TestValues: a path that the file lacks is that of what is nearest around it.
func TestValues(t *testing.T) {
	at := position.Scan("a = [1, [2, 3], { b = 4 }]\n[t]\nu.v = 'x' # y\n")
	for path, want := range map[string]string{
		"a": "[1, [2, 3], { b = 4 }]", "a[0]": "1", "a[1]": "[2, 3]", "a[1][1]": "[2, 3]", "a[2]": "{ b = 4 }", "a[2].b": "4", "a[2].c": "{ b = 4 }", "a[3]": "[1, [2, 3], { b = 4 }]",
		"t": "t", "t.u": "u", "t.u.v": "'x'", "t.w": "t", "w": "", "": "",
	} {
		if got := at.Source(at.Value(path)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := at.Source(at.Key("t.u.v")); got != "v" {
		t.Errorf("the key of t.u.v is %q", got)
	}
	if _, ok := at.At("t.w"); ok {
		t.Error("t.w is there")
	}
}

// TestRepairs changes a text in random places. What was not changed has its first place back;
// what a repair wrote has the place of what it replaced, and that repair is named.
func TestRepairs(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		original := "0123456789abcdefghij"
		m := position.New(original)
		// origin[i] is where the byte i of the text was, or the number of its repair, negative.
		origin := make([]int, len(original))
		for i := range origin {
			origin[i] = i
		}
		for n := range 1 + random.IntN(4) {
			start := random.IntN(len(m.Text) + 1)
			end := start + random.IntN(min(3, len(m.Text)-start)+1)
			fix := strings.Repeat("#", 1+random.IntN(3)) // a repair writes something
			m.Apply(position.Repair{At: position.Between(start, end), Fix: fix})
			written := make([]int, len(fix))
			for i := range written {
				written[i] = -1 - n
			}
			origin = append(origin[:start:start], append(written, origin[end:]...)...)
		}
		if len(origin) != len(m.Text) {
			t.Fatalf("%d bytes, want %d", len(m.Text), len(origin))
		}
		for i, from := range origin {
			s := position.Between(i, i+1)
			index, _ := m.Within(s)
			back := m.Original(s)
			if from >= 0 && (index >= 0 || back != position.Between(from, from+1) || original[from] != m.Text[i]) {
				t.Fatalf("byte %d of %q is %v of the original, by repair %d; want %d", i, m.Text, back, index, from)
			}
			if from < 0 && (index < -1-from || back.Start > back.End || int(back.End) > len(original)) {
				t.Fatalf("byte %d of %q: repair %d, want %d; %v", i, m.Text, index, -1-from, back)
			}
		}
	}
}

// FuzzScan: a scan of any text ends, and all places lie within the text.
func FuzzScan(f *testing.F) {
	f.Add(linesText)
	f.Add("[[a]]\n[a.b]\nc = [[{ d = 1 }")
	f.Add("a.b.c = \"\"\"x\n\"\"\"\"\"\n'''")
	f.Fuzz(func(t *testing.T, text string) {
		at := position.Scan(text)
		for _, path := range []string{"a", "a[0]", "a.b", "a.b.c", "a[0].b", "route.a", "top", fmt.Sprintf("%q", text)} {
			for _, s := range []position.Span{at.Value(path), at.Key(path)} {
				if s.Start < 0 || s.End < s.Start || int(s.End) > len(text) {
					t.Errorf("%s is at %v of %d bytes", path, s, len(text))
				}
			}
			if all, ok := at.Header(path); ok && !strings.HasPrefix(at.Source(all), "[") {
				t.Errorf("the header of %s is %q", path, at.Source(all))
			}
		}
	})
}
