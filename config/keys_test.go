package config

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keyCase is what the tests of the table need of one key. A file has base, which both
// files of a diff share, and then the key with its default (or first, where it has none,
// or where the default does not go with base) and with other.
type keyCase struct {
	key     string // "listen.workers", or of a route "ports"
	first   string // "": the default
	other   string // a valid value
	old     string // the diff's text of first, or of the default
	new     string // the diff's text of other
	bad     string // a value that is refused
	caret   string // the part of bad that the caret marks; "": all of it
	allowed string // what the message says about what is allowed
	base    string // further keys of the table
}

var sectionCases = []keyCase{
	{key: "listen.workers", other: `4`, old: `1`, new: `4`, bad: `0`, allowed: "write a number from 1 to 1024"},
	{key: "listen.tcp_backlog", other: `128`, old: `4096`, new: `128`, bad: `65536`, allowed: "write a number from 1 to 65535"},
	{key: "listen.udp_receive_buffer", other: `"1MiB"`, old: `4194304`, new: `1048576`, bad: `"63KiB"`, allowed: `write a size from "64KiB" to "1GiB"`},
	{key: "listen.max_flows", other: `100`, old: `262144`, new: `100`, bad: `16777217`, allowed: "write a number from 1 to 16777216"},
	{key: "steering.manage_routes", other: `false`, old: `true`, new: `false`, bad: `"maybe"`, allowed: "write true or false"},
	{key: "steering.unmatched", other: `"pass"`, old: `"refuse"`, new: `"pass"`, bad: `"forward"`, allowed: `"refuse", "drop" and "pass"`},
	{key: "steering.allow_loopback", other: `true`, old: `false`, new: `true`, bad: `2`, allowed: "write true or false"},
	{key: "steering.shadow_listeners", other: `true`, old: `false`, new: `true`, bad: `2`, allowed: "write true or false"},
	{key: "steering.user", other: `"anyport"`, old: `""`, new: `"anyport"`, bad: `"a b"`, allowed: `write one such as "anyport", a number, or "" to stay`},
	{key: "steering.pin", other: `""`, old: `"auto"`, new: `""`, bad: `"pins"`, allowed: `begin it with a slash, or write "auto", or "" for none`},
	{key: "admin.socket", other: `"/tmp/a.sock"`, old: `"/run/anyport/admin.sock"`, new: `"/tmp/a.sock"`, bad: `"@anyport"`, allowed: "write the path of a file"},
	{key: "admin.group", other: `"adm"`, old: `""`, new: `"adm"`, bad: `"a b"`, allowed: `write one such as "adm", a number, or "" for none`},
	{key: "admin.http", other: `"127.0.0.1:9765"`, old: `""`, new: `"127.0.0.1:9765"`, bad: `"[::1"`, allowed: `write one such as "127.0.0.1:9765", or "" for none`},
	{key: "admin.http_hosts", other: `["edge1.example.com", "edge"]`, old: `[]`, new: `["edge1.example.com", "edge"]`, bad: `["a", "a b:1"]`, caret: `"a b:1"`, allowed: `write one without a port, such as "edge1.example.com"`},
	{key: "admin.http_writes", other: `true`, old: `false`, new: `true`, bad: `2`, allowed: "write true or false"},
	{key: "log.level", other: `"debug"`, old: `"info"`, new: `"debug"`, bad: `"loud"`, allowed: `"debug", "info", "warn" and "error"`},
	{key: "log.format", other: `"json"`, old: `"text"`, new: `"json"`, bad: `"xml"`, allowed: `"text" and "json"`},
	{key: "log.access", other: `"/var/log/a.log"`, old: `""`, new: `"/var/log/a.log"`, bad: `"syslog:udp://log.example.com:514"`, allowed: `write "stderr", "journal", "syslog", "syslog:udp://192.0.2.9:514"`},
	{key: "log.access_sample", other: `"1%"`, old: `"100%"`, new: `"1%"`, bad: `"101%"`, allowed: `write one such as "1%"`},
	{key: "log.access_progress", other: `"10m"`, old: `"0s"`, new: `"10m0s"`, bad: `"10ms"`, allowed: `"1s" to "8760h"`},
	{key: "fleet.source", other: `"https://10.9.0.9/table"`, old: `""`, new: `"https://10.9.0.9/table"`, bad: `"http://10.9.0.9/table"`, allowed: `write "etcd://HOST:PORT/PREFIX", "https://HOST/PATH", or ""`},
	{key: "fleet.host", other: `"edge1"`, old: `""`, new: `"edge1"`, bad: `"edge/1"`, allowed: `or "" for the hostname`},
	{key: "fleet.peers", other: `["10.9.0.2", "fd00::2"]`, old: `[]`, new: `["10.9.0.2", "fd00::2"]`, bad: `["10.9.0.2", "fe80::1"]`, caret: `"fe80::1"`, allowed: "write the unicast address", base: "device = \"eth1\"\nkey = \"/etc/anyport/fleet.key\""},
	{key: "fleet.device", other: `"eth1"`, old: `""`, new: `"eth1"`, bad: `"a b"`, allowed: `write one of "ip link"`},
	{key: "fleet.key", other: `"/etc/anyport/fleet.key"`, old: `""`, new: `"/etc/anyport/fleet.key"`, bad: `"key"`, allowed: "begin it with a slash"},
	{key: "fleet.source_ca", other: `"/etc/x"`, old: `""`, new: `"/etc/x"`, bad: `"x"`, allowed: "begin it with a slash", base: "source = \"https://a/b\""},
	{key: "fleet.source_cert", other: `"/etc/x"`, old: `""`, new: `"/etc/x"`, bad: `"x"`, allowed: "begin it with a slash", base: "source = \"https://a/b\""},
	{key: "fleet.source_cert_key", other: `"/etc/x"`, old: `""`, new: `"/etc/x"`, bad: `"x"`, allowed: "begin it with a slash", base: "source = \"https://a/b\"\nsource_cert = \"/c\""},
	{key: "fleet.source_credentials", other: `"/etc/x"`, old: `""`, new: `"/etc/x"`, bad: `"x"`, allowed: "begin it with a slash", base: "source = \"https://a/b\""},
	{key: "knock.port", other: `5`, old: `62201`, new: `5`, bad: `0`, allowed: "write a number from 1 to 65535"},
	{key: "knock.keys", other: `"/etc/anyport/keys"`, old: `""`, new: `"/etc/anyport/keys"`, bad: `"keys"`, allowed: "begin it with a slash"},
	{key: "announce.table", other: `179`, old: `0`, new: `179`, bad: `254`, allowed: "write another number, such as 179"},
	{key: "announce.metric", other: `50`, old: `100`, new: `50`, bad: `0`, allowed: "write a number from 1 to 2147482647"},
	{key: "announce.min_hosts", other: `2`, old: `1`, new: `2`, bad: `1001`, allowed: "write a number from 0 to 1000"},
}

const (
	forward = `origins = ["10.0.0.5"]`
	refuse  = `action = "refuse"`
)

var routeCases = []keyCase{
	{key: "protocol", first: `"tcp"`, other: `["tcp", "udp"]`, old: `["tcp"]`, new: `["tcp", "udp"]`, bad: `"xyzzy"`, allowed: `"tcp" and "udp"`, base: refuse},
	{key: "prefixes", bad: `["192.0.2.7/24"]`, caret: `"192.0.2.7/24"`, allowed: `write "192.0.2.0/24" for the block, or "192.0.2.7" for the one address`, base: forward},
	{key: "ports", other: `[80, "8000-8009"]`, old: `["1-65535"]`, new: `[80, "8000-8009"]`, bad: `[80, 70000]`, caret: `70000`, allowed: "ports run from 1 to 65535", base: forward},
	{key: "except_ports", other: `[22, "reflectors"]`, old: `[]`, new: `[22, "reflectors"]`, bad: `["some thing"]`, caret: `"some thing"`, allowed: `"reflectors", for the UDP ports of known reflectors`, base: forward},
	{key: "action", first: refuseValue, other: `"drop"`, old: `"refuse"`, new: `"drop"`, bad: `"xyzzy"`, allowed: `"forward", "socket", "refuse", "drop" and "pass"`},
	{key: "service", first: `"a.service"`, other: `"/system.slice/b.service"`, old: `"a.service"`, new: `"/system.slice/b.service"`, bad: `"pid:x"`, allowed: `write a number, such as "pid:1234"`, base: toService},
	{key: "listener", other: `"0.0.0.0:53"`, old: `""`, new: `"0.0.0.0:53"`, bad: `"53"`, allowed: `write what ss -lntup shows`, base: toService + "\nservice = \"a.service\""},
	{key: "origins", first: `["10.0.0.5"]`, other: `["10.0.0.5:80", { address = "10.0.0.6", weight = 3 }]`, old: `["10.0.0.5"]`, new: `["10.0.0.5:80", { address = "10.0.0.6", weight = 3, backup = false }]`, bad: `["10.0.0.5:99999"]`, caret: `"10.0.0.5:99999"`, allowed: "write one from 1 to 65535, or a range"},
	{key: "balance", other: `"least_conn"`, old: `"round_robin"`, new: `"least_conn"`, bad: `"xyzzy"`, allowed: `"round_robin", "least_conn", "random", "source_hash" and "first"`, base: forward},
	{key: "proxy_protocol", other: `"v2"`, old: `"off"`, new: `"v2"`, bad: `"xyzzy"`, allowed: `"off", "v1", "v2", "v2-first" and "spp"`, base: forward},
	{key: "egress_prefixes", other: `["10.1.0.0/24"]`, old: `[]`, new: `["10.1.0.0/24"]`, bad: `["224.0.0.0/8"]`, caret: `"224.0.0.0/8"`, allowed: "overlaps 224.0.0.0/4 (multicast), which cannot be served: name another prefix", base: forward},
	{key: "source", other: `["10.0.0.2"]`, old: `[]`, new: `["10.0.0.2"]`, bad: `["fe80::1"]`, caret: `"fe80::1"`, allowed: "write an address that needs no interface", base: forward},
	{key: "transparent", other: `true`, old: `false`, new: `true`, bad: `1`, allowed: "write true", base: forward},
	{key: "proxy_tlvs", first: `["crc32c"]`, other: `["unique-id", "0xEF=x = y"]`, old: `["crc32c"]`, new: `["unique-id", "0xEF=x = y"]`, bad: `["0x20-0x10"]`, caret: `"0x20-0x10"`, allowed: `types such as "0xE0-0xEF"`, base: forward + "\nproxy_protocol = \"v2\""},
	{key: "fast_path", other: `"off"`, old: `"auto"`, new: `"off"`, bad: `"on"`, allowed: `"auto" and "off"`, base: forward},
	{key: "allow", other: `["198.51.100.0/24", "::/0"]`, old: `[]`, new: `["198.51.100.0/24", "::/0"]`, bad: `"10.0.0.0/8"`, allowed: `write ["10.0.0.0/8"]`, base: forward},
	{key: "deny", other: `["198.51.100.7"]`, old: `[]`, new: `["198.51.100.7/32"]`, bad: `["10.0.0.0/40"]`, caret: `"10.0.0.0/40"`, allowed: "an IPv4 prefix has a length from 0 to 32", base: forward},
	{key: "denied", other: `"drop"`, old: `"refuse"`, new: `"drop"`, bad: `"forward"`, allowed: `"refuse" and "drop"`, base: forward},
	{key: "max_conns", other: `5`, old: `0`, new: `5`, bad: `-2`, allowed: "write a number from 0 to 2147483647", base: forward},
	{key: "max_conns_per_client", other: `5`, old: `0`, new: `5`, bad: `2147483648`, allowed: "write a number from 0 to 2147483647", base: forward},
	{key: "queue", other: `5`, old: `0`, new: `5`, bad: `65536`, allowed: "write a number from 0 to 65535", base: `origins = [{ address = "10.0.0.5", max_conns = 1 }]`},
	{key: "max_flows", other: `5`, old: `0`, new: `5`, bad: `-2`, allowed: "write a number from 0 to 2147483647", base: forward},
	{key: "max_flows_per_client", other: `5`, old: `0`, new: `5`, bad: `-2`, allowed: "write a number from 0 to 2147483647", base: forward},
	{key: "new_conns_per_second", other: `5`, old: `0`, new: `5`, bad: `1000000001`, allowed: "write a number from 0 to 1000000000", base: forward},
	{key: "new_conns_per_second_per_client", other: `5`, old: `0`, new: `5`, bad: `1000000001`, allowed: "write a number from 0 to 1000000000", base: forward},
	{key: "bandwidth", other: `"1MiB/s"`, old: `""`, new: `"1048576B/s"`, bad: `"1000B/s"`, allowed: `write a rate from "1KiB/s" to "1TiB/s"`, base: forward},
	{key: "route_bandwidth", other: `"2KB/s"`, old: `""`, new: `"2000B/s"`, bad: `"2TiB/s"`, allowed: `write a rate from "1KiB/s" to "1TiB/s"`, base: forward},
	{key: "datagrams_per_second", other: `5`, old: `0`, new: `5`, bad: `1000000001`, allowed: "write a number from 0 to 1000000000", base: forward},
	{key: "accept_proxy", other: `["10.0.0.0/8"]`, old: `[]`, new: `["10.0.0.0/8"]`, bad: `["10.0.0.1/8"]`, caret: `"10.0.0.1/8"`, allowed: `write "10.0.0.0/8" for the block`, base: forward},
	{key: "active", other: `["Mon  08:00..18:00 UTC", "*-12-24"]`, old: `[]`, new: `["Mon 08:00..18:00 UTC", "*-12-24"]`, bad: `["Mon-Fri"]`, caret: `"Mon-Fri"`, allowed: `write "Mon..Fri"`, base: forward},
	{key: "inactive", other: `"drop"`, old: `"refuse"`, new: `"drop"`, bad: `"pass"`, allowed: `"refuse" and "drop"`, base: forward + "\nactive = [\"Mon\"]"},
	{key: "on_inactive", other: `"close"`, old: `"keep"`, new: `"close"`, bad: `"end"`, allowed: `"keep" and "close"`, base: forward + "\nactive = [\"Mon\"]"},
	{key: "anti_amplification", other: `false`, old: `true`, new: `false`, bad: `2`, allowed: "write true or false", base: forward},
	{key: "amplification_budget", other: `"0B/s"`, old: `"1048576B/s"`, new: `"0B/s"`, bad: `"2TiB/s"`, allowed: `write a rate from "0B/s" to "1TiB/s"`, base: forward},
	{key: "mirror_closed", other: `true`, old: `false`, new: `true`, bad: `2`, allowed: "write true or false", base: forward},
	{key: "knock", other: `[7000, 8000, 9000]`, old: `[]`, new: `[7000, 8000, 9000]`, bad: `[7000, "x", 9000]`, caret: `"x"`, allowed: `write an integer from 1 to 65535, or ["spa"]`, base: forward + "\nports = [22]"},
	{key: "knock_window", other: `"1m0s"`, old: `"30s"`, new: `"1m0s"`, bad: `"0s"`, allowed: `write a duration from "1s" to "24h"`, base: forward},
	{key: "connect_timeout", other: `"1s"`, old: `"5s"`, new: `"1s"`, bad: `"8761h"`, allowed: `write a duration from "1ms" to "8760h"`, base: forward},
	{key: "idle_timeout", other: `"90s"`, old: `"1h0m0s"`, new: `"1m30s"`, bad: `"1us"`, allowed: `write a duration from "1ms" to "8760h"`, base: forward},
	{key: "udp_idle_timeout", other: `"17s"`, old: `"auto"`, new: `"17s"`, bad: `"1us"`, allowed: `to "8760h", or "auto"`, base: forward},
	{key: "keepalive", other: `"0s"`, old: `"2m0s"`, new: `"0s"`, bad: `"10h"`, allowed: `write a duration from "1s" to "9h", or "0s" for none`, base: forward},
	{key: "half_close_timeout", other: `"1ms"`, old: `"1m0s"`, new: `"1ms"`, bad: `"1us"`, allowed: `write a duration from "1ms" to "8760h"`, base: forward},
	{key: "drain_timeout", other: `"0s"`, old: `"30s"`, new: `"0s"`, bad: `"-1m"`, allowed: `write a duration from "0s" to "8760h"`, base: forward},
	{key: "header_timeout", other: `"1s"`, old: `"5s"`, new: `"1s"`, bad: `"1us"`, allowed: `write a duration from "1ms" to "8760h"`, base: forward},
	{key: "queue_timeout", other: `"2s"`, old: `"1s"`, new: `"2s"`, bad: `"2h"`, allowed: `write a duration from "1ms" to "1h"`, base: forward},
	{key: "slow_start", other: `"1m"`, old: `"0s"`, new: `"1m0s"`, bad: `"25h"`, allowed: `write a duration from "0s" to "24h"`, base: forward},
	{key: "panic_threshold", other: `50`, old: `0`, new: `50`, bad: `101`, allowed: "write a number from 0 to 100", base: forward},
	{key: "on_all_down", other: `"refuse"`, old: `"try"`, new: `"refuse"`, bad: `"drop"`, allowed: `"try" and "refuse"`, base: forward},
	{key: "on_down", other: `"close"`, old: `"keep"`, new: `"close"`, bad: `"kill"`, allowed: `"keep" and "close"`, base: forward},
	{key: "max_age", other: `"1h"`, old: `""`, new: `"1h0m0s"`, bad: `"1ms"`, allowed: `write a duration from "1s" to "8760h", or "" for none`, base: forward},
	{key: "health", first: `""`, other: `{ type = "udp", port = 53, expect = "x" }`, old: `""`,
		new: `{ type = "udp", interval = "10s", timeout = "2s", rise = 2, fall = 3, port = 53, send = "", expect = "x", path = "/", proxy_protocol = "route" }`,
		bad: `"none"`, allowed: "write a [health.none] table", base: forward},
}

// toService lacks the service.
const toService = "action = \"socket\"\nports = [53]"

const refuseValue = `"refuse"`

// file is a file with key = value as its last line, or without the key where value is "".
func (c keyCase) file(value string) string {
	route := map[string]string{"protocol": `protocol = ["tcp", "udp"]`, "prefixes": `prefixes = ["192.0.2.0/24"]`}
	line := ""
	section, name, ok := strings.Cut(c.key, ".")
	if !ok {
		section, name = "", c.key
	}
	if value != "" {
		line = name + " = " + value
		delete(route, name)
	}
	head := "[route.web]\n" + route["protocol"] + "\n" + route["prefixes"] + "\n"
	if section != "" {
		return head + forward + "\n[" + section + "]\n" + c.base + "\n" + line
	}
	return head + c.base + "\n" + line
}

// cases are those of all keys, and every key of the table has one.
func cases(t *testing.T) []keyCase {
	t.Helper()
	all := append(append([]keyCase{}, sectionCases...), routeCases...)
	var have, want []string
	for _, c := range all {
		have = append(have, c.key)
	}
	for _, k := range fileKeys {
		want = append(want, k.name)
	}
	for _, k := range routeSection.keys {
		want = append(want, k.name)
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Fatalf("the cases are not those of the table (-table +cases):\n%s", diff)
	}
	return all
}

// TestDiffOfEveryKey compares files that differ in one key: a diff has this key alone, with
// the two values as a file writes them, in both directions. Written out, a default is no
// difference.
func TestDiffOfEveryKey(t *testing.T) {
	for _, c := range cases(t) {
		if c.other == "" { // prefixes have a diff of their own; what is not supported has one value
			continue
		}
		t.Run(c.key, func(t *testing.T) {
			before, after := parse(t, c.file(c.first)), parse(t, c.file(c.other))
			checkKeyDiff(t, Compare(before, after), KeyDiff{c.key, c.old, c.new})
			checkKeyDiff(t, Compare(after, before), KeyDiff{c.key, c.new, c.old})
			if same := Compare(after, parse(t, "\n"+c.file(c.other))); !same.Empty() {
				t.Errorf("a file and itself: %+v", same)
			}
			if fallback := fallbackOf(c.key); c.first == "" {
				if diff := Compare(before, parse(t, c.file(fallback))); !diff.Empty() {
					t.Errorf("its default %s, written out: %+v", fallback, diff)
				}
			}
		})
	}
}

// checkKeyDiff wants one key in d: of the file, or of the route web.
func checkKeyDiff(t *testing.T, d Diff, want KeyDiff) {
	t.Helper()
	wanted := Diff{Keys: []KeyDiff{want}}
	if !strings.Contains(want.Key, ".") {
		wanted = Diff{Routes: []RouteDiff{{Name: "web", Change: Changed, Keys: []KeyDiff{want}}}}
	}
	if diff := cmp.Diff(wanted, d, emptyIsNil); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func fallbackOf(key string) string {
	for _, k := range fileKeys {
		if k.name == key {
			return k.fallback
		}
	}
	for _, k := range routeSection.keys {
		if k.name == key {
			return k.fallback
		}
	}
	return ""
}

// TestDefaultsOfTable: a file that leaves out all keys has the defaults of the table.
func TestDefaultsOfTable(t *testing.T) {
	cfg := parse(t, "[route.web]\nprotocol = \"udp\"\nprefixes = [\"192.0.2.0/24\"]\naction = \"refuse\"\n")
	for _, k := range fileKeys {
		checkDefault(t, k, cfg)
	}
	for _, k := range routeSection.keys {
		if k.name != "action" && k.fallback != "" {
			checkDefault(t, k, cfg.Routes[0])
		}
	}
}

func checkDefault[S any](t *testing.T, k key[S], got *S) {
	t.Helper()
	var want S
	if problems := readLiteral(k, &want, k.fallback); len(problems) > 0 {
		t.Errorf("%s: the default %s is refused: %v", k.name, k.fallback, problems)
	}
	if k.print(got) != k.print(&want) {
		t.Errorf("%s: left out it is %s, want the table's %s", k.name, k.print(got), k.print(&want))
	}
}

// TestDefaultsSection: what [defaults] says is inherited, and a route's own key wins.
func TestDefaultsSection(t *testing.T) {
	for _, c := range routeCases {
		for _, k := range timeoutKeys {
			if k.name != c.key {
				continue
			}
			inherited := parse(t, "[defaults]\n"+c.key+" = "+c.other+"\n"+c.file(""))
			if diff := Compare(parse(t, c.file(c.other)), inherited); !diff.Empty() {
				t.Errorf("%s from [defaults]: %+v", c.key, diff)
			}
			own := parse(t, "[defaults]\n"+c.key+" = "+c.other+"\n"+c.file(k.fallback))
			if diff := Compare(parse(t, c.file("")), own); !diff.Empty() {
				t.Errorf("%s of the route itself: %+v", c.key, diff)
			}
		}
	}
}

// TestBadValueOfEveryKey: a bad value is one problem that has its line, its column, the
// length of the caret, the route or table, the key, and what is allowed.
func TestBadValueOfEveryKey(t *testing.T) {
	for _, c := range cases(t) {
		t.Run(c.key, func(t *testing.T) {
			text := c.file(c.bad)
			problems := problemsOf(t, text)
			if len(problems) != 1 {
				t.Fatalf("%d problems, want one:\n%v", len(problems), problems)
			}
			p := problems[0]
			lines := strings.Split(text, "\n")
			last := lines[len(lines)-1]
			marked := c.caret
			if marked == "" {
				marked = c.bad
			}
			column, length := 1+strings.Index(last, marked), len(marked)
			if p.Line != len(lines) || p.Column != column || p.Length != length || p.Source != last {
				t.Errorf("at %d:%d, %d long, want %d:%d, %d long: %v", p.Line, p.Column, p.Length, len(lines), column, length, p)
			}
			if !strings.Contains(p.Text, c.allowed) {
				t.Errorf("%q does not say %q", p.Text, c.allowed)
			}
			if name := regexp.MustCompile(`\[\d+\]$`).ReplaceAllString(p.Key, ""); name != c.key {
				t.Errorf("the key is %q, want %q", name, c.key)
			}
			if inRoute := !strings.Contains(c.key, "."); (p.Route == "web") != inRoute {
				t.Errorf("the route is %q", p.Route)
			}
			caret := "\n" + strings.Repeat(" ", 5) + " | " + strings.Repeat(" ", column-1) + strings.Repeat("^", length)
			if detail := p.Detail(); !strings.HasSuffix(detail, last+caret) {
				t.Errorf("no caret below the value:\n%s", detail)
			}
		})
	}
}

// TestWrongTypes writes values of types that no key takes in the place of each: the value
// is what is reported, not something in its vicinity.
func TestWrongTypes(t *testing.T) {
	for _, c := range cases(t) {
		for _, value := range []string{`1.5`, `1979-05-27`, `{ zzz = 1 }`, `[[[]]]`, `""""""`, `nan`} {
			text := c.file(value)
			cfg, err := Parse("anyport.toml", []byte(text))
			if err == nil {
				if got := fmt.Sprint(len(cfg.Routes)); value != `""""""` || fallbackOf(c.key) != `""` && !takesEmpty[c.key] {
					t.Errorf("%s = %s is accepted, with %s routes", c.key, value, got)
				}
				continue
			}
			for _, p := range err.(Problems) {
				if p.Line != strings.Count(text, "\n")+1 || p.Column == 0 {
					t.Errorf("%s = %s: not on its line: %v", c.key, value, p)
				}
			}
		}
	}
}

// takesEmpty are the keys that an empty string is a value of, though not the default.
var takesEmpty = map[string]bool{"steering.pin": true, "admin.socket": true, "health": true}
