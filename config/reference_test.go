package config

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

// TestReferenceIsGenerated: reference.toml is what the table of keys says.
func TestReferenceIsGenerated(t *testing.T) {
	if *update {
		if err := os.WriteFile("reference.toml", []byte(reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), reference()); diff != "" {
		t.Errorf("go generate ./config would change it (-committed +table):\n%s", diff)
	}
}

func TestReferenceIsValid(t *testing.T) {
	cfg, err := Load("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Routes) != 1 || cfg.Routes[0].Name != "game" {
		t.Errorf("got routes %v, want the one of the file", cfg.Routes)
	}
}

// TestReferenceShowsDefaults loads a file without keys beside the reference: what a
// key has there must be its default.
func TestReferenceShowsDefaults(t *testing.T) {
	reference, err := Load("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	bare := parse(t, `
[route.game]
protocol = "udp"
prefixes = ["192.0.2.0/24", "2001:db8:1::/48"]
origins = ["10.0.0.5", "[2001:db8:2::5]", { address = "10.0.0.6", weight = 3, backup = true, max_conns = 100 }]
`)
	bare.Path, bare.Notes = reference.Path, reference.Notes
	bare.Routes[0].Line = reference.Routes[0].Line
	if diff := cmp.Diff(bare, reference, compareValues); diff != "" {
		t.Errorf("defaults differ from the reference (-default +reference):\n%s", diff)
	}
}

var commentedOut = regexp.MustCompile(`(?m)^# (\[[a-z.]+\]|[a-z_]+ = )`)

// TestReferenceIsComplete reads the reference with its commented-out keys, and
// wants every key in it that the parser knows, and no other.
func TestReferenceIsComplete(t *testing.T) {
	data, err := os.ReadFile("reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	text := commentedOut.ReplaceAllString(string(data), "$1")
	var values map[string]any
	md, err := toml.Decode(text, &values)
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, key := range md.Keys() {
		if len(key) > 1 && key.String() != "route.game" {
			documented = append(documented, strings.TrimPrefix(key.String(), "route.game."))
		}
	}
	slices.Sort(documented)
	known := slices.Sorted(maps.Keys(knownKeys(t)))
	if diff := cmp.Diff(known, slices.Compact(documented)); diff != "" {
		t.Errorf("keys (-known +documented):\n%s", diff)
	}
	_, err = Parse("reference.toml", []byte(text))
	if err != nil {
		t.Errorf("with all keys: %v", err)
	}
}

// knownKeys are the keys that the errors about an unknown one offer instead, in
// every table, as a Problem names them.
func knownKeys(t *testing.T) map[string]bool {
	_, err := Parse("x", []byte(`
[listen]
zzzzzzzzz = 0
[steering]
zzzzzzzzz = 0
[admin]
zzzzzzzzz = 0
[log]
zzzzzzzzz = 0
[fleet]
zzzzzzzzz = 0
[knock]
zzzzzzzzz = 0
[announce]
zzzzzzzzz = 0
[defaults]
zzzzzzzzz = 0
[route.game]
zzzzzzzzz = 0
origins = [{ zzzzzzzzz = 0 }]
[route.game.health]
zzzzzzzzz = 0
`))
	problems, _ := err.(Problems)
	known, tables := map[string]bool{}, 0
	for _, p := range problems {
		if _, offered, ok := strings.Cut(p.Text, "known here are "); ok {
			tables++
			table := regexp.MustCompile(`\[0\]|zzzzzzzzz`).ReplaceAllString(p.Key, "")
			for _, key := range strings.Split(offered, ", ") {
				known[table+key] = true
			}
		}
	}
	if tables != 11 {
		t.Fatalf("%d tables told their keys, want 11:\n%v", tables, err)
	}
	return known
}

// TestReferenceListsReflectors: the ports that the comment names are those of the table.
func TestReferenceListsReflectors(t *testing.T) {
	_, list, _ := strings.Cut(reference(), "used to attack others:")
	list, _, _ = strings.Cut(list, `"all" takes`)
	got := regexp.MustCompile(`\d+`).FindAllString(list, -1)
	var want []string
	for _, ports := range reflectorPorts {
		want = append(want, ports.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reflectors (-table +reference):\n%s", diff)
	}
}

// TestReferenceIsReadable: no line is longer than a reader's window, save by its value.
func TestReferenceIsReadable(t *testing.T) {
	for i, line := range strings.Split(reference(), "\n") {
		value, _, _ := strings.Cut(line, "  #")
		if len(line) > referenceWidth && len(value) < referenceWidth-20 {
			t.Errorf("line %d is %d long: %s", i+1, len(line), line)
		}
	}
}
