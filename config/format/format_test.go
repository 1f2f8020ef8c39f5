package format

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"anyport/config/tokens"
)

const untidy = "\ufeff\r\n# The edge.\r\n" + `

  [ log ]
level="info"   #quiet
access   =	"journal" # fields

[admin]
socket = ''
# The game.


# All its ports.
[route.game]
  prefixes=[ "192.0.2.0/24","2001:db8:1::/48" ,]
origins = [
{address="10.0.0.5" ,weight=3},   # big
      "10.0.0.6",# small
	# none
  [ [
 1], 2
]]
empty = [ ] 
table = { }
 a . "b=c" . d  =  1979-05-27 07:32:00
text = """
  kept   # no comment
	"""   # a comment
last = {a={b=[1 , 2 ]}}
[[x.y]]


`

const tidy = `# The edge.

[log]
level = "info"     #quiet
access = "journal" # fields

[admin]
socket = ''
# The game.

# All its ports.
[route.game]
prefixes = ["192.0.2.0/24", "2001:db8:1::/48",]
origins = [
  { address = "10.0.0.5", weight = 3 }, # big
  "10.0.0.6",                           # small
  # none
  [[
    1], 2
]]
empty = []
table = {}
a."b=c".d = 1979-05-27 07:32:00
text = """
  kept   # no comment
	""" # a comment
last = { a = { b = [1, 2] } }

[[x.y]]
`

func TestFile(t *testing.T) {
	got, err := File(untidy)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tidy, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	check(t, untidy)
	for _, text := range []string{"a = ", "[a", "a b = 1", "a = 1\na = 2", "x = \"\"\"never"} {
		if got, err := File(text); err == nil {
			t.Errorf("%q became %q", text, got)
		}
	}
	for _, text := range []string{"", "\n\n", "# only\n", "a=1"} {
		check(t, text)
	}
}

// check: a formatted text means the same, has the same comments in the same order, and stays as it is.
func check(t *testing.T, text string) {
	t.Helper()
	formatted, err := File(text)
	if err != nil {
		if _, invalid := decode(text); invalid == nil {
			t.Errorf("%q: %v", text, err)
		}
		return
	}
	before, _ := decode(text)
	after, err := decode(formatted)
	if err != nil || !reflect.DeepEqual(before, after) && !strings.Contains(text, "nan") { // which equals nothing
		t.Errorf("%q became %q, %v: another meaning", text, formatted, err)
	}
	if a, b := comments(text), comments(formatted); !slices.Equal(a, b) {
		t.Errorf("%q became %q: the comments are %q, and were %q", text, formatted, b, a)
	}
	if again, err := File(formatted); err != nil || again != formatted {
		t.Errorf("%q became %q, and then %q, %v", text, formatted, again, err)
	}
}

func decode(text string) (values map[string]any, err error) {
	_, err = toml.Decode(text, &values)
	return values, err
}

func comments(text string) (all []string) {
	for token := range tokens.Of(text) {
		if token.Kind == tokens.Comment {
			all = append(all, strings.TrimRight(token.Text, " \t\r"))
		}
	}
	return all
}

// TestFiles formats what the repository has: files of all keys, of tests and of packages.
func TestFiles(t *testing.T) {
	var files []string
	for _, pattern := range []string{"../*.toml", "../testdata/*.toml", "../testdata/*/*.toml", "../../deploy/*.toml", "../../deploy/*/*.toml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) < 3 {
		t.Fatalf("only %q", files)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		check(t, string(text))
	}
}

func FuzzFile(f *testing.F) {
	for _, text := range []string{untidy, tidy, "a=[\n{b=1},#c\n]", "a='''\n'''#", "a=[[\n[\n]\n]]", "'a'.\"b\" = 1 # ", "a = 1e3\r\n", "a = {b = 1, # c\n d = 2}", "[a.b . c]\n[[d]]", "a=\"\"\"\r\nx\\\r\n  y\"\"\"", "t=1979-05-27T07:32:00Z\n", "a=[1.\n,.2]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { check(t, text) })
}
