package config

import (
	"strings"
	"testing"
	"time"
)

// hostFile is the file of a host with a source; line 12 begins a route that push sends.
const hostFile = `[listen]
workers = 2

[fleet]
source = "etcd://10.9.0.9:2379/anyport"

[defaults]
connect_timeout = "2s"
idle_timeout = "2h"

# those of the push
[route.pushed]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins = ["10.0.0.9"]
`

// TestWithTable: the routes, and the defaults that go before those of the file, are the table's; all else is the file's.
func TestWithTable(t *testing.T) {
	host := parse(t, hostFile)
	if len(host.Notes) == 0 || !strings.Contains(host.Notes[0].Text, "anyport push") {
		t.Errorf("nothing says that the routes of the file are not served: %v", host.Notes)
	}
	c, err := host.WithTable("table 123", []byte("[defaults]\nidle_timeout = \"3h\"\n[route.a]\nprotocol = \"tcp\"\nprefixes = [\"198.51.100.0/24\"]\norigins = [\"10.0.0.5\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Routes) != 1 || c.Routes[0].Name != "a" || c.Listen.Workers != 2 || c.Path != host.Path || !c.FromSource() {
		t.Errorf("the wrong parts: %+v", c)
	}
	if r := c.Routes[0]; r.Idle != 3*time.Hour || r.Connect != 2*time.Second {
		t.Errorf("defaults: idle %v, connect %v", r.Idle, r.Connect)
	}
	if bare := c.WithoutRoutes(); len(bare.Routes) != 0 || bare.TableText() != "" || len(c.Routes) != 1 {
		t.Errorf("without routes: %+v", bare.Routes)
	}
	// What is found later has its place in the text that it is in.
	late := c.Locate(Problems{{File: c.Path, Route: "a", Key: "prefixes", Text: "x"}, {File: c.Path, Key: "listen.workers", Text: "y"}})
	if late[0].File != "table 123" || late[0].Line != 5 || late[1].File != c.Path || late[1].Line != 2 {
		t.Errorf("places: %v, %v", late[0], late[1])
	}
}

// TestWithTableRefuses: each text that a source must not give, and where the problem is.
func TestWithTableRefuses(t *testing.T) {
	const route = "[route.a]\nprotocol = \"tcp\"\nprefixes = [\"198.51.100.0/24\"]\norigins = [\"10.0.0.5\"]\n"
	for text, want := range map[string]string{
		"":                            "t: route: is missing",
		"[defaults]\n":                "t: route: is missing",
		"[listen]\nworkers = 3\n":     "t:1:2: listen: each host has its own",
		route + "[steering]\n":        "t:5:2: steering: each host has its own",
		route + "[fleet]\nhost='x'\n": "t:5:2: fleet: each host has its own",
		route + "prots = [1]\n":       `t:5:1: route "a": prots: unknown key`,
		route + "knock = [\"spa\"]\n": `t:5:9: route "a": knock: "spa" needs keys`,
		"[route.a":                    "t:1",
		strings.Replace(route, "tcp", "udp", 1) + "egress_prefixes = [\"10.7.0.0/16\"]\n": `route "a": egress_prefixes: needs a single worker`,
	} {
		_, err := parse(t, hostFile).WithTable("t", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n%v\nwant %q", text, err, want)
		}
	}
}

// TestSourceNeedsNoRoutes: a file with a source may have none, another file may not.
func TestSourceNeedsNoRoutes(t *testing.T) {
	parse(t, "[fleet]\nsource = \"https://example.org/table\"\n")
	if _, err := Parse("x", []byte("[fleet]\nhost = \"a\"\n")); err == nil {
		t.Error("a file without routes and source is taken")
	}
}

// TestLargeTable: a table that is read in parts has the same refusals.
func TestLargeTable(t *testing.T) {
	text := "[defaults]\nidle_timeout = \"3h\"\n[route.a]\nprotocol = \"tcp\"\nprefixes = [\"198.51.100.0/24\"]\norigins = [\"10.0.0.5\"]\n" + strings.Repeat("# a long comment\n", readWhole/16)
	c, err := parse(t, hostFile).WithTable("t", []byte(text))
	if err != nil || c.Routes[0].Idle != 3*time.Hour {
		t.Fatal(err)
	}
	if _, err := parse(t, hostFile).WithTable("t", []byte("[admin]\nsocket = \"\"\n"+text)); err == nil || !strings.Contains(err.Error(), "each host has its own") {
		t.Errorf("a large table with [admin]: %v", err)
	}
}

// TestTableOfFile: a push sends the routes, their defaults and checks, with the comments above them.
func TestTableOfFile(t *testing.T) {
	got, err := parse(t, hostFile).TableOfFile()
	want := hostFile[strings.Index(hostFile, "[defaults]"):]
	if err != nil || got != want {
		t.Errorf("%v\n%q\nwant\n%q", err, got, want)
	}
	for _, c := range []struct{ file, want string }{
		{"log.level = \"info\"\ndefaults.idle_timeout = \"1h\"\n[route.a]\nprotocol = \"tcp\"\nprefixes = [\n \"192.0.2.0/24\", # [log]\n]\norigins = ['10.0.0.5']\n[log]\nformat = \"text\"\n[health.x]\ntype = \"tcp\"",
			"defaults.idle_timeout = \"1h\"\n[route.a]\nprotocol = \"tcp\"\nprefixes = [\n \"192.0.2.0/24\", # [log]\n]\norigins = ['10.0.0.5']\n[health.x]\ntype = \"tcp\"\n"},
		{"[fleet]\nsource = \"https://a/b\"\n", ""},
	} {
		got, err := cutTables(c.file, tablesOfSource)
		if err != nil || got != c.want {
			t.Errorf("%q: %v\n%q\nwant\n%q", c.file, err, got, c.want)
		}
	}
}

// TestSourceFiles: keys of [fleet] that are nothing without others.
func TestSourceFiles(t *testing.T) {
	for fleet, want := range map[string]string{
		"source = \"etcd://a:1/x\"\nsource_cert_key = \"/k\"\n":                     "needs its certificate",
		"source = \"etcd://a:1/x\"\nsource_cert = \"/c\"\nsource_cert_key = \"/k\"": "only speaks with source_ca",
		"source_credentials = \"/c\"\n":                                             "there is none",
	} {
		_, err := Parse("x", []byte("[fleet]\n"+fleet+"\n[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"10.0.0.5\"]\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", fleet, err)
		}
	}
}
