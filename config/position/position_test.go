package position_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"anyport/config/position"
)

const linesText = `# x = 1
top = """
x = 1
"""" # the string ends with a quote
[listen] # [no]
workers = 1
"tcp.backlog" = '''
[no]
'''
[ route . "a" ]
health.interval = "10s" # a dotted key
prefixes = [ # comment ]
  "192.0.2.1", '192.0.2.2',

  # another
  "]",
  [1,
   2],
]
origins = [{ address = "a # b", nested = { weight = 1 } },
  { address = "\"]", weight = 3 }
]
[route.b.health]
rise = 1
[route.b]
ports = "all"
[[array]]
x = 1
`

func TestLines(t *testing.T) {
	tests := map[string]int{
		"top":                              2,
		"listen":                           5,
		"listen.workers":                   6,
		`listen."tcp.backlog"`:             7,
		"route.a":                          10,
		"route.a.health":                   11,
		"route.a.health.interval":          11,
		"route.a.health.timeout":           11,
		"route.a.prefixes":                 12,
		"route.a.prefixes[0]":              13,
		"route.a.prefixes[1]":              13,
		"route.a.prefixes[2]":              16,
		"route.a.prefixes[3]":              17,
		"route.a.prefixes[3][1]":           17,
		"route.a.prefixes[4]":              12,
		"route.a.origins[0]":               20,
		"route.a.origins[0].nested.weight": 20,
		"route.a.origins[1].weight":        21,
		"route.a.origins[1].absent":        21,
		"route.a.absent":                   10,
		"route.b.health":                   23,
		"route.b.health.rise":              24,
		"route.b":                          25,
		"route.b.ports":                    26,
		"array":                            27,
		"array[0]":                         27,
		"array[0].x":                       28,
		"absent":                           0,
		"":                                 0,
	}
	for path, want := range tests {
		if got := lineOf(linesText, path); got != want {
			t.Errorf("%s: line %d, want %d", path, got, want)
		}
	}
}

// lineOf is the line of a key or element, 0 if there is none.
func lineOf(text, path string) int {
	at := position.Scan(text).Key(path)
	if at.Empty() {
		return 0
	}
	return position.NewDocument(text).Line(at.Start)
}

// A probe makes the TOML library tell the position of a key: that of an error it
// blames on it.
type probe struct{}

func (probe) UnmarshalTOML(any) error { return errors.New("here") }

// libraryLine is the line of key by the library, or 0 if it cannot tell.
func libraryLine(text string, key toml.Key) int {
	var at map[string]toml.Primitive
	md, err := toml.Decode(text, &at)
	for i := 0; err == nil && i < len(key)-1; i++ {
		var below map[string]toml.Primitive
		err = md.PrimitiveDecode(at[key[i]], &below)
		at = below
	}
	if err != nil {
		return 0
	}
	var parse toml.ParseError
	if !errors.As(md.PrimitiveDecode(at[key[len(key)-1]], &probe{}), &parse) {
		return 0
	}
	return parse.Position.Line
}

// FuzzLines compares the lines of all keys with those that the TOML library knows.
func FuzzLines(f *testing.F) {
	for _, pattern := range []string{"../testdata/broken/*.txt", "../testdata/habits/*.txt", "../reference.toml"} {
		files, _ := filepath.Glob(pattern)
		if len(files) == 0 {
			f.Fatalf("no files %s", pattern)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			for _, part := range strings.Split(string(text), "\n=== ") { // a case begins with its name
				part, _, _ = strings.Cut(part, "\n--- ")
				f.Add(part[strings.IndexByte(part, '\n')+1:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, doc := position.Scan(text), position.NewDocument(text)
		var values map[string]any
		md, err := toml.Decode(text, &values)
		if err != nil {
			return
		}
		for _, key := range md.Keys() {
			if !md.IsDefined(key...) || overwrites(md, key) {
				continue
			}
			path := ""
			for _, part := range key {
				path = position.Join(path, part)
			}
			place, known := at.At(path)
			got, want := doc.Line(place.Key.Start), libraryLine(text, key)
			if want != 0 && (!known || got != want) {
				t.Errorf("%s: line %d, want %d in:\n%s", path, got, want, text)
			}
		}
	})
}

// overwrites reports whether key is a value in the place of a table, which is not
// TOML, but the library lets "a.b = 1" be followed by "a = 1".
func overwrites(md toml.MetaData, key toml.Key) bool {
	return md.Type(key...) != "Hash" && slices.ContainsFunc(md.Keys(), func(other toml.Key) bool {
		return len(other) > len(key) && slices.Equal(other[:len(key)], key)
	})
}
