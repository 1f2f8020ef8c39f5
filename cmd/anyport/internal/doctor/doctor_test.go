package doctor

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyport/config"
	"anyport/steering"
	"anyport/steering/host"
	"anyport/steering/program"
)

const file = "/etc/anyport/anyport.toml"

// healthy is a host with nothing to say about, and a file of two families.
func healthy() *Facts {
	return &Facts{
		Unread: map[string]error{},
		Path:   file,
		Config: &config.Config{
			Path:     file,
			Listen:   config.Listen{TCPBacklog: 4096},
			Steering: config.Steering{ManageRoutes: true},
			Routes: []*config.Route{{
				Name:      "game",
				Line:      3,
				Protocols: []config.Protocol{config.TCP, config.UDP},
				Prefixes:  []netip.Prefix{prefix("192.0.2.0/24"), prefix("2001:db8:1::/48")},
				Ports:     []config.PortRange{{First: 1, Last: 65535}},
				Action:    config.Forward,
			}},
		},
		Program:      "/usr/bin/anyport",
		Kernel:       "6.1.0",
		Features:     []program.Feature{{Name: "LPM tries", Since: "4.11"}, {Name: "sk_lookup programs", Since: "5.9"}},
		Files:        Files{Hard: 1 << 20, Most: 1 << 20},
		Capabilities: 1<<unix.CAP_BPF | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_BIND_SERVICE,
		Death:        steering.Forecast{Pin: "/sys/fs/bpf/anyport_1_2", Then: steering.Refused},
		Sysctls: map[string]string{
			"net/core/somaxconn":               "4096",
			"net/ipv4/tcp_syncookies":          "1",
			"net/ipv6/conf/all/disable_ipv6":   "0",
			"net/ipv6/conf/lo/disable_ipv6":    "0",
			"net/netfilter/nf_conntrack_count": "0",
			"net/netfilter/nf_conntrack_max":   "1000",
		},
		Links: []Link{
			{Name: "lo", Up: true, Loopback: true},
			{Name: "eth0", Up: true, Neighbours: true, DefaultV4: true, ReversePath: 1},
		},
		Host: &host.Network{
			Addresses: []host.Attached{{Prefix: prefix("2001:db8:c::2/128"), Interface: "eth0"}},
			Subnets:   []host.Attached{{Prefix: prefix("2001:db8:c::/64"), Interface: "eth0"}},
		},
		Tools: []string{"nft"},
	}
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

// problem is a fault of the file, as config and steering report it.
var problem = config.Problems{{File: file, Line: 5, Route: "game", Key: "prefixes[0]", Text: "covers the gateway"}}

func serve(prefixes ...string) func(*Facts) {
	return func(f *Facts) {
		f.Config.Routes[0].Prefixes = nil
		for _, p := range prefixes {
			f.Config.Routes[0].Prefixes = append(f.Config.Routes[0].Prefixes, prefix(p))
		}
	}
}

// all makes several changes.
func all(changes ...func(*Facts)) func(*Facts) {
	return func(f *Facts) {
		for _, change := range changes {
			change(f)
		}
	}
}

func TestHealthy(t *testing.T) {
	report := Examine(healthy())
	if !report.Works || report.Failures+report.Warnings != 0 || report.Summary() != "this host can run it" {
		t.Errorf("got %+v", report)
	}
	if len(report.Findings) != len(checks) {
		t.Errorf("%d findings of %d checks", len(report.Findings), len(checks))
	}
}

// An example is one change of the healthy host, and what the check says of it.
type example struct {
	name   string
	change func(*Facts)
	want   []Status
	what   string // of the first finding, in part
	mend   string // of the first finding
}

// run has the check judge every example.
func run(t *testing.T, check string, examples []example) {
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			f := healthy()
			e.change(f)
			report := Examine(f)
			checkComplete(t, report)
			found := of(report, check)
			if !slices.Equal(statuses(found), e.want) {
				t.Fatalf("got %+v, want %v", found, e.want)
			}
			if !strings.Contains(found[0].What, e.what) || found[0].Mend != e.mend {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", found[0].What, found[0].Mend, e.what, e.mend)
			}
		})
	}
}

func statuses(findings []Finding) []Status {
	var all []Status
	for _, f := range findings {
		all = append(all, f.Status)
	}
	return all
}

// of returns what one check found.
func of(r Report, check string) []Finding {
	var found []Finding
	for _, f := range r.Findings {
		if f.Check == check {
			found = append(found, f)
		}
	}
	return found
}

// checkComplete holds for any report: a fault has a reason and a remedy, what is in
// order has neither, and a failure alone keeps anyport from working.
func checkComplete(t *testing.T, r Report) {
	t.Helper()
	counts := map[Status]int{}
	for _, f := range r.Findings {
		counts[f.Status]++
		fault := f.Status != OK
		if f.Check == "" || f.What == "" || (f.Why != "") != fault || (f.Mend != "") != fault {
			t.Errorf("incomplete: %+v", f)
		}
	}
	if r.Failures != counts[Failure] || r.Warnings != counts[Warning] || r.Works != (r.Failures == 0) {
		t.Errorf("miscounted: %+v", r)
	}
}

func TestManyFindings(t *testing.T) {
	f := healthy()
	for i := range 20 {
		f.Programs = append(f.Programs, program.Attached{ID: uint32(i + 1)})
	}
	found := of(Examine(f), "programs")
	if len(found) != most || !strings.Contains(found[most-1].What, "(and 12 more like it)") {
		t.Errorf("got %+v", found)
	}
}

// TestWithoutAFile: the checks of what a file asks for judge nothing, and those of the host go on.
func TestWithoutAFile(t *testing.T) {
	f := healthy()
	noFile(f)
	f.Programs = []program.Attached{{ID: 9}}
	report := Examine(f)
	checkComplete(t, report)
	for _, finding := range report.Findings {
		if want := map[bool]Status{true: Warning, false: OK}[finding.Check == "programs"]; finding.Status != want {
			t.Errorf("%+v, want %s", finding, want)
		}
	}
	if found := of(report, "programs"); !strings.Contains(found[0].What, "program 9 (name unknown)") {
		t.Errorf("%+v", found)
	}
}

// TestUnread: a fact that could not be read is a warning of each check that needs it, and of no other.
func TestUnread(t *testing.T) {
	for _, g := range gatherers {
		f := healthy()
		for _, check := range g.checks {
			f.Unread[check] = errors.Join(f.Unread[check], unix.EIO)
		}
		report := Examine(f)
		checkComplete(t, report)
		for _, finding := range report.Findings {
			unread := slices.Contains(g.checks, finding.Check)
			if unread != strings.HasPrefix(finding.What, "not examined: input/output error") || unread != (finding.Status == Warning) {
				t.Errorf("of %v unread: %+v", g.checks, finding)
			}
		}
	}
	for _, g := range gatherers {
		for _, name := range g.checks {
			if !slices.ContainsFunc(checks[:], func(c struct {
				name    string
				examine func(*Facts) []Finding
			}) bool {
				return c.name == name
			}) {
				t.Errorf("the fact that %q needs is noted for no check", name)
			}
		}
	}
}
