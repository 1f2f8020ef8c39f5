package config

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"anyport/config/hours"
)

var compareValues = cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}, netip.Addr{}, netip.Prefix{}), cmpopts.IgnoreUnexported(Config{})}

// parse reads a text that must be valid.
func parse(t testing.TB, text string) *Config {
	t.Helper()
	cfg, err := Parse("anyport.toml", []byte(text))
	if err != nil {
		t.Fatalf("%v\nin:\n%s", err, text)
	}
	return cfg
}

func prefixes(all ...string) []netip.Prefix {
	var parsed []netip.Prefix
	for _, p := range all {
		parsed = append(parsed, netip.MustParsePrefix(p))
	}
	return parsed
}

// schedule is of one entry, which must be valid.
func schedule(text string) hours.Schedule {
	e, err := hours.Parse(text)
	if err != nil {
		panic(err)
	}
	return hours.Schedule{e}
}

func TestDefaults(t *testing.T) {
	got := parse(t, `
[route.a]
protocol = "tcp"
prefixes = ["192.0.2.1"]
origins = ["10.0.0.5"]
`)
	want := &Config{
		Path:     "anyport.toml",
		Listen:   Listen{Workers: 1, TCPBacklog: 4096, UDPReceiveBuffer: 4 << 20, MaxFlows: 262144},
		Steering: Steering{ManageRoutes: true, Pin: PinAuto, Unmatched: Refuse},
		Admin:    Admin{Socket: "/run/anyport/admin.sock"},
		Log:      Log{Level: slog.LevelInfo, Format: "text", AccessSample: 100},
		Knock:    Doorbell{Port: 62201},
		Announce: Announce{Metric: 100, MinHosts: 1},
		Routes: []*Route{{
			Name:      "a",
			Line:      2,
			Protocols: []Protocol{TCP},
			Prefixes:  prefixes("192.0.2.1/32"),
			Ports:     []PortRange{{1, 65535}},
			Action:    Forward,
			Origins:   []Origin{{Text: "10.0.0.5", Addr: netip.MustParseAddr("10.0.0.5"), Weight: 1}},
			Balance:   RoundRobin,
			OnAllDown: TryAll, OnDown: KeepConns, OnInactive: KeepConns,
			Knock:             Knock{Window: 30 * time.Second},
			ProxyProtocol:     ProxyOff,
			FastPath:          FastAuto,
			Denied:            Refuse,
			AntiAmplification: true, AmplificationBudget: 1 << 20,
			Timeouts: Timeouts{
				Connect: 5 * time.Second, Idle: time.Hour,
				Keepalive: 2 * time.Minute, HalfClose: time.Minute, Drain: 30 * time.Second, Header: 5 * time.Second, Queued: time.Second,
			},
		}},
	}
	if diff := cmp.Diff(want, got, compareValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// everyKeyWant is what testdata/every_key.toml says: each key with another value
// than its default, except for workers, which egress_prefixes requires to be 1, and transparent, which
// requires manage_routes.
func everyKeyWant(path string) *Config {
	addr := netip.MustParseAddr
	defaults := Timeouts{Connect: time.Second, Idle: 2 * time.Hour, UDPIdle: 10 * time.Second, Keepalive: 4 * time.Second, HalfClose: 3 * time.Second, Header: 6 * time.Second, Queued: 2 * time.Second}
	web := defaults
	web.Idle, web.UDPIdle, web.MaxAge = time.Minute, 0, 2*time.Hour
	return &Config{
		Path: path,
		Notes: []Problem{{File: path, Line: 28, Column: 10, Length: 30, Source: `source = "etcd://10.9.0.9:2379/anyport"`, Key: "fleet.source",
			Text: "the routes of this file are not served by anyport run, which takes those of the source: anyport push sends these there"}},
		Listen:   Listen{Workers: 1, TCPBacklog: 128, UDPReceiveBuffer: 1_000_000, MaxFlows: 10_000},
		Steering: Steering{User: "anyport", Pin: "/sys/fs/bpf/anyport", Unmatched: Drop, AllowLoopback: true, ShadowListeners: true},
		Admin:    Admin{HTTP: "127.0.0.1:9765", HTTPHosts: []string{"edge1.example.com"}, HTTPWrites: true},
		Log:      Log{Level: slog.LevelWarn, Format: "json", Access: "stderr", AccessSample: 50, AccessProgress: 10 * time.Minute},
		Knock:    Doorbell{Port: 7, Keys: "/etc/anyport/knock.keys"},
		Fleet: Fleet{Source: "etcd://10.9.0.9:2379/anyport", Host: "edge1", Peers: []netip.Addr{addr("10.9.0.2"), addr("fd00::2")}, Device: "eth1", Key: "/etc/anyport/fleet.key",
			SourceCA: "/etc/anyport/source-ca.pem", SourceCert: "/etc/anyport/source.pem", SourceCertKey: "/etc/anyport/source.key", SourceCredentials: "/etc/anyport/source.user"},
		Announce: Announce{Table: 179, Metric: 50, MinHosts: 2},
		Routes: []*Route{{
			Name: "web", Line: 56,
			Protocols:   []Protocol{TCP, UDP},
			Prefixes:    prefixes("127.0.0.1/32", "2001:db8:1::/48"),
			Ports:       []PortRange{{8000, 8009}, {443, 443}, {22, 22}},
			ExceptPorts: []PortRange{{8001, 8001}}, ExceptReflectors: true,
			Action: Forward,
			Origins: []Origin{
				{Text: "10.0.0.5:80", Addr: addr("10.0.0.5"), Ports: PortRange{80, 80}, Weight: 1},
				{Text: "[2001:db8:2::5]:80", Addr: addr("2001:db8:2::5"), Ports: PortRange{80, 80}, Weight: 1},
				{Text: "10.0.0.6", Addr: addr("10.0.0.6"), Backup: true, MaxConns: 8},
				{Text: "2001:db8:2::6", Addr: addr("2001:db8:2::6"), Weight: 1},
			},
			Balance:   SourceHash,
			SlowStart: time.Minute, PanicThreshold: 30, OnAllDown: RefuseAll, OnDown: CloseConns,
			Health:        &Health{Type: CheckHTTP, Interval: 5 * time.Second, Timeout: time.Second, Rise: 1, Fall: 4, Port: 8080, Path: "/up", Header: ProxyV1},
			ProxyProtocol: ProxyV2, FastPath: FastAuto,
			ProxyTLVs:   []ProxyTLV{{Kind: TLVUniqueID}, {Kind: TLVText, First: 0xE1, Last: 0xE1, Text: "edge"}, {Kind: TLVPass, First: 0x20, Last: 0x2F}},
			AcceptProxy: prefixes("10.0.1.0/24"),
			Source:      []netip.Addr{addr("10.0.0.2"), addr("2001:db8:2::2")},
			Allow:       prefixes("0.0.0.0/0", "::/0"),
			Deny:        prefixes("198.51.100.7/32", "198.51.100.0/24"),
			Denied:      Drop,
			Active:      schedule("Mon..Fri 08:00..18:00 UTC"), Inactive: Drop, OnInactive: CloseConns,
			MaxConns: 1, MaxConnsPerClient: 2, Queue: 9, MaxFlows: 3, MaxFlowsPerClient: 6, NewConnsPerSecond: 4, DatagramsPerSecond: 5,
			NewConnsPerSecondPerClient: 7, Bandwidth: 10_000_000, RouteBandwidth: 1 << 30,
			AmplificationBudget: 512 << 10, MirrorClosed: true, Knock: Knock{Window: 30 * time.Second},
			Timeouts: web,
		}, {
			Name: "range", Line: 103,
			Protocols: []Protocol{UDP},
			Prefixes:  prefixes("192.0.2.0/24"),
			Ports:     []PortRange{{3000, 4000}},
			Action:    Forward,
			Origins: []Origin{
				{Text: "10.0.0.5:13000-14000", Addr: addr("10.0.0.5"), Ports: PortRange{13000, 14000}, Base: 3000, Weight: 1},
			},
			EgressPrefixes: prefixes("10.1.0.0/24", "10.2.0.1/32"),
			Balance:        RoundRobin, OnAllDown: TryAll, OnDown: KeepConns, OnInactive: KeepConns,
			Health: &Health{Type: CheckUDP, Interval: 10 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 3, Port: 13000,
				Send: "hex:00ff", Expect: "pong\r\n", Path: "/", Header: HeaderOfRoute},
			ProxyProtocol: ProxySPP, FastPath: FastOff, Knock: Knock{Steps: []KnockStep{7000, 8000, 9000}, Window: time.Minute}, AntiAmplification: true, AmplificationBudget: 1 << 20,
			Timeouts: defaults,
		}, {
			Name: "keep", Line: 115,
			Protocols: []Protocol{TCP},
			Prefixes:  prefixes("192.0.2.0/24"),
			Ports:     []PortRange{{22, 22}},
			Action:    Pass, Knock: Knock{Window: 30 * time.Second},
			Balance: RoundRobin, OnAllDown: TryAll, OnDown: KeepConns, OnInactive: KeepConns, ProxyProtocol: ProxyOff, FastPath: FastAuto, AntiAmplification: true, AmplificationBudget: 1 << 20,
			Timeouts: defaults,
		}, {
			Name: "local", Line: 121,
			Protocols: []Protocol{TCP},
			Prefixes:  prefixes("198.18.0.0/24"),
			Ports:     []PortRange{{1, 65535}},
			Action:    Socket, Service: "unbound.service", Listener: netip.MustParseAddrPort("127.0.0.1:53"), Knock: Knock{Window: 30 * time.Second},
			Balance: RoundRobin, OnAllDown: TryAll, OnDown: KeepConns, OnInactive: KeepConns, ProxyProtocol: ProxyOff, FastPath: FastAuto, AntiAmplification: true, AmplificationBudget: 1 << 20,
			Timeouts: defaults,
		}},
	}
}

func TestEveryKey(t *testing.T) {
	const path = "testdata/every_key.toml"
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(everyKeyWant(path), got, compareValues); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOriginPort(t *testing.T) {
	ranged := parse(t, `
[route.a]
protocol = "tcp"
prefixes = ["192.0.2.1"]
ports = "100-109"
origins = ["10.0.0.5", "10.0.0.5:80", "10.0.0.5:200-209"]
`).Routes[0].Origins
	for i, want := range []uint16{107, 80, 207} {
		if got := ranged[i].Port(107); got != want {
			t.Errorf("%s: dst port 107 maps to %d, want %d", ranged[i].Text, got, want)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.toml")
	_, err := Load(path)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a missing file: %v, want an error that names it", err)
	}
	valid := "[route.a]\nprotocol = \"tcp\"\nprefixes = [\"192.0.2.1\"]\naction = \"drop\"\n"
	if err := os.WriteFile(path, []byte(valid), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(path)
	if err != nil || cfg.Path != path || len(cfg.Routes) != 1 {
		t.Errorf("got %+v, %v; want one route of %s", cfg, err, path)
	}
}
