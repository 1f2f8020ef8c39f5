package config

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// schemaPage is the schema as the docs have it.
const schemaPage = "../docs/reference/" + SchemaName

// TestSchemaIsGenerated: the committed schema is what the table of keys says.
func TestSchemaIsGenerated(t *testing.T) {
	if *update {
		if err := os.WriteFile(schemaPage, JSONSchema(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(schemaPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), string(JSONSchema())); diff != "" {
		t.Errorf("go generate ./config would change it (-committed +table):\n%s", diff)
	}
}

// compiledSchema is JSONSchema, checked against draft 7 itself.
var compiledSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(JSONSchema()))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(SchemaName, text); err != nil {
		return nil, err
	}
	return compiler.Compile(SchemaName)
})

// validate is what the schema says of a text that is TOML.
func validate(t testing.TB, text string) error {
	t.Helper()
	schema, err := compiledSchema()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	if _, err := toml.Decode(strings.TrimPrefix(text, "\ufeff"), &values); err != nil {
		t.Fatal(err)
	}
	return schema.Validate(asJSON(values))
}

// asJSON is a value of the TOML library in the types that the JSON library makes.
func asJSON(value any) any {
	if list, ok := elements(value); ok {
		all := make([]any, len(list))
		for i, element := range list {
			all[i] = asJSON(element)
		}
		return all
	}
	switch v := value.(type) {
	case map[string]any:
		all := make(map[string]any, len(v))
		for key, element := range v {
			all[key] = asJSON(element)
		}
		return all
	case time.Time:
		return v.String()
	}
	return value
}

// acceptedIsValid wants the schema to accept text if the parser does, and says whether that does.
func acceptedIsValid(t testing.TB, text string) (accepted bool) {
	t.Helper()
	if _, err := Parse("x", []byte(text)); err != nil {
		return false
	}
	if err := validate(t, text); err != nil {
		t.Errorf("anyport reads this file, but the schema refuses it: %v\n%s", err, text)
	}
	return true
}

// TestSchemaAcceptsExamples: all files that are documented, and those that tests hold for right.
func TestSchemaAcceptsExamples(t *testing.T) {
	every, err := os.ReadFile("testdata/every_key.toml")
	if err != nil {
		t.Fatal(err)
	}
	uncommented := commentedOut.ReplaceAllString(reference(), "$1")
	for _, text := range append([]string{string(every), reference(), uncommented}, importedFiles(t)...) {
		if !acceptedIsValid(t, text) && !strings.Contains(text, OriginPlaceholder) {
			t.Errorf("the parser refuses\n%s", text)
		}
	}
	shown, right := documentedFiles(t), 0
	for _, text := range append(shown, habitTexts(t)...) {
		if acceptedIsValid(t, text) {
			right++
		}
	}
	if len(shown) < 5 || right < 50 {
		t.Errorf("%d blocks in the docs, %d right files: too few for all to have been found", len(shown), right)
	}
}

// importedFiles are those that anyport import writes.
func importedFiles(t *testing.T) (texts []string) {
	t.Helper()
	files, err := filepath.Glob("../cmd/anyport/internal/*/testdata/*.toml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files of anyport import: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(text) > 0 { // nothing of it was for anyport
			texts = append(texts, string(text))
		}
	}
	return texts
}

// documentedFiles are the TOML blocks of README and docs.
func documentedFiles(t *testing.T) (texts []string) {
	t.Helper()
	var pages []string
	for _, glob := range []string{"../*.md", "../docs/*.md", "../docs/*/*.md"} {
		found, err := filepath.Glob(glob)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(text), "```toml\n")[1:] {
			block, _, _ = strings.Cut(block, "```")
			texts = append(texts, block)
		}
	}
	return texts
}

// beyondSchema are the keys whose bad value of the table of cases only the parser refuses.
var beyondSchema = []string{
	"log.access_progress", "connect_timeout", "idle_timeout", "udp_idle_timeout", "keepalive", // ranges of durations
	"half_close_timeout", "drain_timeout", "header_timeout", "queue_timeout", "slow_start", "max_age", "knock_window",
	"listen.udp_receive_buffer", "bandwidth", "route_bandwidth", "amplification_budget", // of sizes
	"prefixes", "deny", "accept_proxy", "egress_prefixes", "source", "proxy_tlvs", "origins", // of addresses and ports
	"fleet.peers", "announce.table", // of other hosts, and of this host's own tables
	"active", "service", // days, hours and names of processes
	"health",     // the name of a check that the file lacks
	"log.access", // a DNS name for a server
}

// TestSchemaRefuses: the bad value of each key, except where a schema cannot know.
func TestSchemaRefuses(t *testing.T) {
	for _, c := range slices.Concat(sectionCases, routeCases) {
		accepted := validate(t, c.file(c.bad)) == nil
		if accepted != slices.Contains(beyondSchema, c.key) {
			t.Errorf("%s = %s: accepted by the schema: %t", c.key, c.bad, accepted)
		}
		if !acceptedIsValid(t, c.file(c.other)) && c.other != "" {
			t.Errorf("%s = %s is refused by the parser", c.key, c.other)
		}
	}
	for name, text := range map[string]string{
		"no route":              "[listen]\nworkers = 1\n",
		"an empty table":        "[route]\n",
		"an unknown key":        plainFile + "port = 80\n",
		"an unknown table":      plainFile + "[routes]\n",
		"a removed key":         plainFile + "reflectors = true\n",
		"a route without a dst": "[route.a]\nprotocol = \"tcp\"\norigins = [\"10.0.0.5\"]\n",
		"a route to nowhere":    "[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\"]\n",
		"a name":                "[route.\"A b\"]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\"]\naction = \"drop\"\n",
		"an origin twice":       "[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\"]\norigins = [\"10.0.0.5\", \"10.0.0.5\"]\n",
		"no address":            "[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\"]\norigins = [{ weight = 1 }]\n",
	} {
		if err := validate(t, text); err == nil {
			t.Errorf("%s: the schema accepts it", name)
		}
		if _, err := Parse("x", []byte(text)); err == nil {
			t.Errorf("%s: the parser accepts it", name)
		}
	}
}

// TestSchemaAcceptsRandom has each key hold values of all kinds: what the parser takes, the schema takes.
func TestSchemaAcceptsRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(41, 42))
	cases, accepted := slices.Concat(sectionCases, routeCases), 0
	for range 6000 {
		c := cases[random.IntN(len(cases))]
		literal := randomLiteral(random)
		if random.IntN(3) == 0 {
			literal = oddLiterals[random.IntN(len(oddLiterals))]
		}
		if acceptedIsValid(t, c.file(literal)) {
			accepted++
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	if accepted < 300 {
		t.Errorf("only %d of the files were right", accepted)
	}
}

// oddLiterals are what few people write, and the parser takes for one key or another.
var oddLiterals = []string{`"+1h.5m0s"`, `".5s"`, `"1.s"`, `"1µs"`, `"1500000µs"`, `"0"`, `"-0s"`, `"-0"`, `0x10`, `0o17`, `1_000`, `0.07`, `1e-1`, `-0.0`, `"0.5%"`, `"00.50%"`,
	`"065535"`, `"00080-0090"`, `["all", 80]`, `"::ffff:1.2.3.4"`, `["::1.2.3.4"]`, `["2001:DB8::/032"]`, `["2001:DB8::/32"]`, `["64:ff9b::192.0.2.1"]`, `"[fe80::1%a b]:80"`, `"/a\u2028b"`, `"/ä/./.."`,
	`"syslog:unix:///a b"`, `"syslog:udp://[::1%lo]:5"`, `"a/"`, `["0xE1=\u2028ä"]`, `["0xEF="]`, `["0x01-0xFF"]`, `["_a._b-.c."]`, `["a..b"]`, `["EXAMPLE.com.:00080"]`, `["srv:_a._tcp.Example.com."]`,
	`["[2001:db8::1]"]`, `["[::1.2.3.4]:1-2"]`, `["2001:db8::5:0"]`, `[{address = "a", weight = 0x0}]`, `[]`, `""`, `{}`, `{ type = "http", path = "/~a?b=%20", port = 5 }`, `{ type = "udp", port = 1, expect = "hex:" , send = "\u0000" }`}
