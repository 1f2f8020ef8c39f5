package config

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// checkEffective wants the effective file of text to be read as text is, and to be its own effective file.
func checkEffective(t testing.TB, text string) {
	t.Helper()
	c, err := Parse("x", []byte(text))
	if err != nil {
		return
	}
	effective := c.Effective()
	again, err := Parse("x", []byte(effective))
	if err != nil {
		t.Fatalf("%v\nin\n%s\nof\n%s", err, effective, text)
	}
	if diff := Compare(c, again); !diff.Empty() {
		t.Errorf("%+v\nin\n%s\nof\n%s", diff, effective, text)
	}
	if twice := again.Effective(); twice != effective {
		t.Errorf("written again it is\n%s\nand not\n%s", twice, effective)
	}
}

// TestEffective: the effective file of every right file of the tests and the docs.
func TestEffective(t *testing.T) {
	every, err := os.ReadFile("testdata/every_key.toml")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range slices.Concat([]string{string(every), reference()}, importedFiles(t), documentedFiles(t), habitTexts(t)) {
		checkEffective(t, text)
	}
	for _, c := range slices.Concat(sectionCases, routeCases) {
		checkEffective(t, c.file(c.other))
	}
}

// TestEffectiveSays: every key once a table, what is inherited, and which values are defaults.
func TestEffectiveSays(t *testing.T) {
	c := parse(t, "[defaults]\nidle_timeout = \"2h\"\n[health.ping]\ntype = \"http\"\n"+
		"[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.7\"]\norigins = [\"10.0.0.5:80\"]\nhealth = \"ping\"\n"+
		"[route.b]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.8\"]\naction = \"drop\"\nidle_timeout = \"1h\"\n")
	_, got, _ := strings.Cut(c.Effective(), "[route.a]")
	a, b, _ := strings.Cut(got, "[route.b]")
	for _, want := range []string{"prefixes = [\"192.0.2.7/32\"]\n", "ports = [\"1-65535\"]  # default\n", "idle_timeout = \"2h0m0s\"\n", "action = \"forward\"  # default\n", "[route.a.health]\ntype = \"http\"\ninterval = \"10s\"  # default\n"} {
		if !strings.Contains(a, want) {
			t.Errorf("route a lacks %q:\n%s", want, a)
		}
	}
	for _, want := range []string{"idle_timeout = \"1h0m0s\"  # default\n", "action = \"drop\"\n"} {
		if !strings.Contains(b, want) {
			t.Errorf("route b lacks %q:\n%s", want, b)
		}
	}
	for _, k := range routeSection.keys {
		if n := strings.Count(b, "\n"+k.name+" = "); n != 1 && k.name != "health" {
			t.Errorf("%s stands %d times in route b", k.name, n)
		}
	}
}
