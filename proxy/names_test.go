package proxy

import (
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"anyport/config"
	"anyport/proxy/resolve"
)

const namesFile = `
[route.web]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
origins  = ["app.example:80", "bad.example:80"]
source   = ["10.0.0.1"]
[route.both]
protocol = "tcp"
prefixes = ["192.0.2.0/24"]
ports    = [443]
origins  = ["unknown.invalid", { address = "app.example", weight = 7 }, { address = "10.0.0.6", weight = 0 }]
[route.none]
protocol = "tcp"
prefixes = ["198.51.100.0/24"]
origins  = ["bad.example:80"]
`

// withHosts makes a Server whose system has only this /etc/hosts, and no server that answers.
func withHosts(t *testing.T, hosts *atomic.Value) *Server {
	t.Helper()
	return New(Options{Workers: 1, Log: slog.New(slog.DiscardHandler), ReadFile: func(path string) ([]byte, error) {
		switch path {
		case resolve.HostsPath:
			return []byte(hosts.Load().(string)), nil
		case resolve.SettingsPath:
			return []byte("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"), nil
		}
		return nil, fs.ErrNotExist
	}})
}

// originTexts are the origins of a route, with their weights.
func originTexts(s *Server, route string) string {
	var all []string
	for _, o := range s.routes.Set().Named(route).Origins().Origins {
		all = append(all, o.Text+" x"+string(rune('0'+o.Weight)))
	}
	return strings.Join(all, ", ")
}

// TestNames: a route gets the addresses of its names that it can dial and that are no loop; a name of
// which nothing is left is a problem only where the route has no other origin.
func TestNames(t *testing.T) {
	cfg, err := config.Parse("anyport.toml", []byte(namesFile))
	if err != nil {
		t.Fatal(err)
	}
	var hosts atomic.Value
	hosts.Store("10.0.0.5 app.example\n10.0.0.6 app.example\n2001:db8::5 app.example\n192.0.2.9 bad.example\n198.51.100.7 bad.example")
	s := withHosts(t, &hosts)
	problems := s.Resolve(t.Context(), cfg.Routes)
	if len(problems) != 1 || problems[0].Route != "none" || problems[0].Key != "origins[0]" || !strings.Contains(problems[0].Text, "none of its addresses can be used") {
		t.Errorf("problems: %v", problems)
	}
	s.Try(everything{cfg.Routes[0]}, cfg.Routes).Keep(everything{cfg.Routes[0]})
	if got := originTexts(s, "web"); got != "10.0.0.5:80 x1, 10.0.0.6:80 x1" { // no IPv6 source
		t.Errorf("web: %s", got)
	}
	if got := originTexts(s, "both"); got != "10.0.0.5 x7, 2001:db8::5 x7, 10.0.0.6 x0" {
		t.Errorf("both: %s", got)
	}
	if st := s.Status()[1].Origins; st[len(st)-1].Name != "unknown.invalid" || st[len(st)-1].Up || st[0].Name != "app.example" || !st[0].Up {
		t.Errorf("status: %+v", st)
	}

	hosts.Store("192.0.2.9 app.example\n192.0.2.10 bad.example") // a loop keeps what was usable last
	s.Resolve(t.Context(), cfg.Routes)
	if got := originTexts(s, "web"); got != "10.0.0.5:80 x1, 10.0.0.6:80 x1" {
		t.Errorf("web, after a loop: %s", got)
	}
	hosts.Store("10.0.0.8 app.example")
	s.Resolve(t.Context(), cfg.Routes)
	if got := originTexts(s, "web"); got != "10.0.0.8:80 x1" {
		t.Errorf("web, after the loop: %s", got)
	}
	s.routes.Set().Named("web").Origins().Origins[0].Begin()
	hosts.Store("10.0.0.9 app.example")
	s.Resolve(t.Context(), cfg.Routes)
	if err := s.SetOriginWeight("web", "10.0.0.8:80", 3); err == nil || !strings.Contains(err.Error(), "is gone from its name") {
		t.Errorf("weight of an address that is gone: %v", err)
	}
}

// TestNamesInService: Serve's resolver follows a change by itself, ends with Serve, and forgets the
// names that no route has any more.
func TestNamesInService(t *testing.T) {
	cfg, err := config.Parse("anyport.toml", []byte("[route.web]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.0/24\"]\norigins = [\"app.example:80\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var hosts atomic.Value
	hosts.Store("10.0.0.5 app.example")
	s := withHosts(t, &hosts)
	if problems := s.Resolve(t.Context(), cfg.Routes); len(problems) > 0 {
		t.Fatal(problems)
	}
	s.Try(everything{cfg.Routes[0]}, cfg.Routes).Keep(everything{cfg.Routes[0]})
	stop := s.followNames(t.Context())
	hosts.Store("10.0.0.6 app.example")
	for deadline := time.Now().Add(time.Minute); originTexts(s, "web") != "10.0.0.6:80 x1"; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the change is not followed: %s", originTexts(s, "web"))
		}
	}
	if names := s.Resolving().Names; len(names) != 1 || names[0].Name != "app.example" {
		t.Errorf("in service: %+v", names)
	}
	next := resolve.Name{Host: "localhost"}
	hosts.Store("10.0.0.6 app.example\n127.0.0.1 localhost")
	s.names.resolver.Resolve(t.Context(), []resolve.Name{next}) // as a reload does before its Try
	s.routes.OriginDown()
	if a := s.names.resolver.Answer(next); len(a.Targets) != 1 {
		t.Errorf("an origin that went down has dropped a name of the reload in progress: %+v", a)
	}
	s.ForgetUnused() // as after a reload that is refused
	if names := s.Resolving().Names; len(names) != 1 || names[0].Name != "app.example" {
		t.Errorf("after a refused reload: %+v", names)
	}
	s.Try(everything{nil}, nil).Keep(everything{nil})
	if names := s.Resolving().Names; len(names) != 0 {
		t.Errorf("after a reload without names: %+v", names)
	}
	stop()
}

// everything has one route for all.
type everything struct{ r *config.Route }

func (e everything) Lookup(config.Protocol, netip.AddrPort) *config.Route { return e.r }
func (everything) Passes(config.Protocol, netip.AddrPort) bool            { return false }
