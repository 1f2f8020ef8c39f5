package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// combinationsPage says which options go together. It is generated from what TestCombinations finds.
const combinationsPage = "../docs/reference/combinations.md"

// an optionValue is a key with another value than its default.
type optionValue struct {
	key, value string
	section    string // "": of the route
	limited    bool   // its origin needs max_conns
}

func (o optionValue) String() string {
	if o.section != "" {
		return o.section + "." + o.key + " = " + o.value
	}
	return o.key + " = " + o.value
}

// combinedOptions are one value or more of each key that changes how a route works. Timeouts go with
// everything, and prefixes and ports have rules of their own (see the README).
var combinedOptions = []optionValue{
	{key: "action", value: `"refuse"`}, {key: "action", value: `"drop"`}, {key: "action", value: `"pass"`},
	{key: "action", value: `"socket"`},
	{key: "origins", value: `["app.example:80"]`},
	{key: "balance", value: `"source_hash"`}, {key: "balance", value: `"least_conn"`},
	{key: "transparent", value: `true`},
	{key: "proxy_protocol", value: `"v1"`}, {key: "proxy_protocol", value: `"v2"`}, {key: "proxy_protocol", value: `"v2-first"`}, {key: "proxy_protocol", value: `"spp"`},
	{key: "proxy_tlvs", value: `["unique-id"]`}, {key: "proxy_tlvs", value: `["pass"]`},
	{key: "accept_proxy", value: `["198.51.100.0/24"]`},
	{key: "source", value: `["10.0.0.1"]`},
	{key: "egress_prefixes", value: `["10.9.0.0/24"]`},
	{key: "allow", value: `["198.51.100.0/24"]`},
	{key: "knock", value: `["spa"]`}, {key: "knock_window", value: `"1m"`},
	{key: "denied", value: `"drop"`},
	{key: "max_conns", value: `10`}, {key: "max_conns_per_client", value: `10`},
	{key: "queue", value: `10`, limited: true},
	{key: "max_flows", value: `10`}, {key: "max_flows_per_client", value: `10`},
	{key: "new_conns_per_second", value: `10`}, {key: "new_conns_per_second_per_client", value: `10`}, {key: "datagrams_per_second", value: `10`},
	{key: "bandwidth", value: `"1MiB/s"`}, {key: "route_bandwidth", value: `"1MiB/s"`},
	{key: "active", value: `["Mon..Fri"]`},
	{key: "anti_amplification", value: `false`}, {key: "amplification_budget", value: `"0B/s"`},
	{key: "mirror_closed", value: `true`}, {key: "fast_path", value: `"off"`},
	{key: "slow_start", value: `"1m"`}, {key: "panic_threshold", value: `50`}, {key: "on_all_down", value: `"refuse"`}, {key: "on_down", value: `"close"`},
	{key: "health", value: `{ type = "tcp", port = 80 }`},
	{key: "max_age", value: `"1h"`},
	{key: "workers", value: `2`, section: "listen"}, {key: "manage_routes", value: `false`, section: "steering"},
}

// protocolsTried are the protocols of the route that has the options.
var protocolsTried = []string{`"tcp"`, `"udp"`, `["tcp", "udp"]`}

// problemsTogether are what Load says of a route with these options, each as "key: text".
func problemsTogether(t *testing.T, protocol string, options ...optionValue) map[string]bool {
	t.Helper()
	keys := map[string]string{"protocol": protocol, "prefixes": `["192.0.2.0/24"]`, "origins": `["10.0.0.5:80"]`}
	var head strings.Builder
	for _, o := range options {
		if o.key == "knock" {
			head.WriteString("[knock]\nkeys = \"/etc/anyport/knock.keys\"\n")
		}
		if o.section != "" {
			fmt.Fprintf(&head, "[%s]\n%s = %s\n", o.section, o.key, o.value)
		}
	}
	for _, o := range options {
		if o.limited {
			keys["origins"] = `[{ address = "10.0.0.5:80", max_conns = 1 }]`
		}
	}
	for _, o := range options {
		if o.section == "" {
			keys[o.key] = o.value
		}
		if o.value == `"socket"` {
			keys["service"], keys["ports"] = `"x.service"`, `[53]`
		}
		if o.key == "origins" && slices.ContainsFunc(options, func(o optionValue) bool { return o.limited }) {
			keys["origins"] = `[{ address = "app.example:80", max_conns = 1 }]`
		}
		if o.key == "action" && !slices.ContainsFunc(options, func(o optionValue) bool { return o.key == "origins" }) {
			delete(keys, "origins")
		}
	}
	text := head.String() + "[route.web]\n"
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		text += name + " = " + keys[name] + "\n"
	}
	found := map[string]bool{}
	_, err := Parse("anyport.toml", []byte(text))
	var problems Problems
	if err != nil && !errors.As(err, &problems) {
		t.Fatalf("%v in:\n%s", err, text)
	}
	for _, p := range problems {
		found["`"+p.Key+"`: "+p.Text] = true
	}
	return found
}

// TestCombinations tries each option alone and every pair of options, over each protocol: what Load
// refuses is what the page says, with the reason.
func TestCombinations(t *testing.T) {
	page := combinations(t)
	if *update {
		if err := os.WriteFile(combinationsPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(combinationsPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(committed), page); diff != "" {
		t.Errorf("go test ./config -run TestCombinations -update would change it (-committed +found):\n%s", diff)
	}
}

var otherAction = regexp.MustCompile(`action = "(refuse|drop|pass)"`)

// anyAction is a text for all actions but forward, which are refused alike.
func anyAction(text string) string {
	return otherAction.ReplaceAllLiteralString(text, `action = "refuse", "drop" or "pass"`)
}

// protocolText is the value of protocol in words.
func protocolText(value string) string {
	return strings.Trim(strings.ReplaceAll(strings.ReplaceAll(value, `", "`, " and "), `"`, ""), "[]")
}

const combinationsIntro = `# What goes with what

This page says which options of a route can stand together. A test generates it
(` + "`TestCombinations`" + ` of ` + "`config`" + `): it loads a file for each option and for every pair of options,
over TCP, over UDP and over both. A pair that is not listed here is accepted. An option that would
do nothing is refused, with the reason that stands here. Timeouts go with everything. On a route of
TCP and UDP each option applies to the protocol that it is for; ` + "`mirror_closed`" + ` with
` + "`egress_prefixes`" + ` then mirrors TCP only.

The integration tests start, reload, upgrade, kill and stop anyport with files that together have
every pair of these: the header over TCP and over UDP, ` + "`egress_prefixes`" + `, ` + "`source`" + `, health with
` + "`on_all_down`" + ` and ` + "`on_down`" + `, the limits with a queue, ` + "`mirror_closed`" + `, a drained route, the workers,
pins, the store, the user, both families, the logs, each ` + "`balance`" + `, ` + "`slow_start`" + ` with
` + "`panic_threshold`" + ` and ` + "`max_age`" + `, ` + "`allow`" + ` with ` + "`deny`" + `, origins by their DNS name, and ` + "`knock`" + ` by
ports and by a datagram.
` + "`accept_proxy`" + ` has tests of its own: with each header, with ` + "`transparent`" + ` and a queue, and with
` + "`egress_prefixes`" + `, the amplification budget and a drain.

`

// combinations is the page.
func combinations(t *testing.T) string {
	page := combinationsIntro + "## Alone\n\n| option | tcp | udp | tcp and udp |\n|---|---|---|---|\n"
	var reasons []string
	number := func(text string) string {
		_, text, _ = strings.Cut(text, ": ") // the key is in the row
		at := slices.Index(reasons, text)
		if at < 0 {
			at, reasons = len(reasons), append(reasons, text)
		}
		return fmt.Sprintf("(%d)", at+1)
	}
	alone := map[string]map[string]bool{}
	for _, o := range combinedOptions {
		page += "| `" + o.String() + "` |"
		for _, protocol := range protocolsTried {
			found := problemsTogether(t, protocol, o)
			alone[protocol+o.String()] = found
			cell := "yes"
			if len(found) > 0 {
				cell = ""
				for _, text := range slices.Sorted(maps.Keys(found)) {
					cell += number(text)
				}
			}
			page += " " + cell + " |"
		}
		page += "\n"
	}
	page += "\n## In pairs\n\n| option | not with | over | because |\n|---|---|---|---|\n"
	pairs, refused, written := 0, 0, map[string]bool{}
	for i, a := range combinedOptions {
		for _, b := range combinedOptions[i+1:] {
			if a.key == b.key {
				continue
			}
			pairs++
			over := map[string][]string{} // reason → protocols
			for _, protocol := range protocolsTried {
				for text := range problemsTogether(t, protocol, a, b) {
					if !alone[protocol+a.String()][text] && !alone[protocol+b.String()][text] {
						over[text] = append(over[text], protocolText(protocol))
					}
				}
			}
			if len(over) > 0 {
				refused++
			}
			for _, text := range slices.Sorted(maps.Keys(over)) {
				row := fmt.Sprintf("| `%s` | `%s` | %s | %s |\n", anyAction(a.String()), b, strings.Join(over[text], ", "), number(anyAction(text)))
				if !written[row] {
					page += row
				}
				written[row] = true
			}
		}
	}
	page += fmt.Sprintf("\nThat is %d of %d pairs. The other %d are accepted.\n\n## Reasons\n\n| | what anyport says |\n|---|---|\n", refused, pairs, pairs-refused)
	for i, text := range reasons {
		page += fmt.Sprintf("| (%d) | %s |\n", i+1, strings.ReplaceAll(text, "|", "\\|"))
	}
	return page
}
