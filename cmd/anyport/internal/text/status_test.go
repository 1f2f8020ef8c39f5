package text

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"anyport/cmd/anyport/internal/admin"
	"anyport/cmd/anyport/internal/goldentest"
)

func TestStatus(t *testing.T) {
	waiting, refused := 3, time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	status := &admin.Status{
		Version: "v1.2.3", PID: 4711, UptimeSeconds: 3723, Files: 1048576, MaxFlows: 524288, MaxSockets: 10000, ClientFlows: 32768, ClientSockets: 625,
		FilesUsed: 120, FileShares: admin.FileShares{
			Reserve: 1024, TCP: admin.FileUse{Held: 40, Most: 900000}, Flows: admin.FileUse{Held: 7, Most: 800000}, Replies: admin.FileUse{Held: 3, Most: 700000},
		},
		Privileges: admin.Privileges{User: "anyport", Capabilities: []string{"CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN"}, NoNewPrivs: true},
		Config:     admin.ConfigStatus{Refused: "line 3: no\nline 4: nor this\n", Path: "/etc/anyport/anyport.toml", Generation: 2, LoadedAt: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)},
		Steering:   admin.SteeringStatus{Attached: true, ProgramID: 77, Prefixes: 5, ForeignPrograms: []uint32{12}, Missing: []string{"the route local 192.0.2.0/24 dev lo is missing"}, RoutesRestored: 3},
		Routes: []admin.RouteStatus{
			{
				Name: "game", Protocol: []string{"tcp", "udp"}, Prefixes: []string{"192.0.2.0/24", "2001:db8:1::/48"}, Ports: []string{"1-65535"}, Action: "forward",
				ConnsActive: 12, ConnsTotal: 34567, Denied: 3, Limited: 1, BytesToOrigin: 1 << 20, BytesToClient: 1536, HeldBack: 2048,
				Counts: admin.Counts{Datagrams: map[string]map[string]uint64{"to_client": {"amplified": 3}}},
				Origins: []admin.OriginStatus{{Address: "10.0.0.5", Up: true, ConnsActive: 12, ConnsTotal: 34567}, {Address: "10.0.0.6", Forced: "drain"},
					{Address: "10.0.0.7:53", RefusedSince: &refused}, {Address: "10.0.0.8", Up: true, RefusedPorts: 2},
					{Address: "10.0.0.9", State: "ejected", EjectedSince: &refused}, {Address: "10.0.1.1", State: "check_failed", Since: &refused, Why: "status 503"},
					{Address: "10.0.0.9:80", Name: "app.example", Up: true}, {Address: "10.0.1.9:80", Name: "app.example", Gone: true, ConnsActive: 1}, {Address: "new.example:80", Name: "new.example"}},
				Refused: 9,
			},
			{
				Name: "ssh", Protocol: []string{"tcp"}, Prefixes: []string{"192.0.2.1/32", "192.0.2.2/32", "192.0.2.3/32", "192.0.2.4/32"}, Ports: []string{"22"}, Action: "pass",
				Draining: true,
			},
			{
				Name: "everything-behind-the-firewall", Protocol: []string{"tcp"}, Prefixes: []string{"2001:db8:1234:5678::/64"}, Ports: []string{"1-1023"}, Action: "forward",
				ConnsTotal: 1234567890, Refused: 23456789, BytesToOrigin: 1023 << 30, UnreachableSince: &refused, QueueWaiting: &waiting,
				Origins: []admin.OriginStatus{
					{Address: "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535", Up: true, Health: "unchecked", LastError: "refused", LastErrno: "ECONNREFUSED", LastErrorAt: &refused, FailingSince: &refused},
					{Address: "10.0.0.9:80", Name: "longer.than-most.example", Up: true, Health: "up", LastError: "timeout", LastErrno: "ETIMEDOUT", LastErrorAt: &refused, SourcePorts: map[string]int64{"192.0.2.9": 28000, "192.0.2.10": 7}},
					{Address: "10.0.1.1:80", Health: "down", State: "check_failed", Since: &refused, Why: "dial tcp 10.0.1.1:80: connect: connection refused, which is longer than a line", LastError: "dns", LastErrorAt: &refused},
				},
			},
		},
		Resolver: &admin.ResolverStatus{Servers: []string{"10.0.0.53:53", "10.0.0.54:53"}, Search: []string{"corp.example"}, Names: []admin.NameStatus{
			{Name: "app.example", Addresses: []string{"10.0.0.9"}, TTLSeconds: 59.6, Server: "10.0.0.54:53"},
			{Name: "new.example", TTLSeconds: 1, Error: "10.0.0.53:53: no\n10.0.0.54:53: nor this"},
		}},
	}
	var got bytes.Buffer
	if err := Status(&got, status); err != nil {
		t.Fatal(err)
	}
	goldentest.Compare(t, filepath.Join("testdata", "status.txt"), got.String())
	for line := range strings.Lines(got.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns, want at most 80: %s", n, line)
		}
	}
}

func TestCompact(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 9_999_999: "9999999", 10_000_000: "10.0M", 1_234_567_890: "1.2G", 999_949_999: "999.9M", 1<<64 - 1: "18.4E",
	} {
		if got := compact(n); got != want {
			t.Errorf("compact(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1<<20 - 1: "1024.0 KiB", 1 << 20: "1.0 MiB",
		5 << 40: "5.0 TiB", 1<<64 - 1: "16.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}

// TestStatusStates: what an operator has to see stands in capitals, and stands there only then.
func TestStatusStates(t *testing.T) {
	healthy := func() *admin.Status {
		return &admin.Status{Version: "v1", PID: 7, Steering: admin.SteeringStatus{Attached: true, ProgramID: 3, OnDeath: "refused", Prefixes: 1}}
	}
	for _, test := range []struct {
		name   string
		change func(*admin.Status)
		want   string // a part of the text
	}{
		{"healthy", func(*admin.Status) {}, "steering    attached, program 3, 1 prefix\n"},
		{"healthy, pinned", func(s *admin.Status) { s.Steering.Pinned = true }, "attached, program 3, pinned, 1 prefix\n"},
		{"detached", func(s *admin.Status) { s.Steering.Attached = false }, "steering    DETACHED, 1 prefix\n"},
		{"exposed", func(s *admin.Status) { s.Steering.OnDeath = admin.Exposed }, "EXPOSES the host's listeners if it is killed"},
		{"missing", func(s *admin.Status) { s.Steering.Missing = []string{"the interface lo"} }, "MISSING     the interface lo\n"},
		{"a file that hangs", func(s *admin.Status) { s.Resolver = &admin.ResolverStatus{Servers: []string{"::1"}, Error: "hangs"} }, "RESOLVER    ::1: hangs\n"},
		{"refused", func(s *admin.Status) { s.Config.Refused = "a\nb\n" }, "LAST RELOAD REFUSED: a;\n            b\n"},
		{"stopping", func(s *admin.Status) { s.Stopping = true }, "anyport     v1, pid 7, stopping, up for 0s\n"},
		{"no capabilities", func(s *admin.Status) { s.Privileges.User = "nobody" }, "privileges  user nobody, no capabilities\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := healthy()
			test.change(s)
			var out bytes.Buffer
			if err := Status(&out, s); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), test.want) {
				t.Errorf("want %q in\n%s", test.want, out.String())
			}
			for _, alarm := range []string{"DETACHED", "EXPOSES", "MISSING", "RESOLVER", "REFUSED:"} {
				if strings.Contains(out.String(), alarm) != strings.Contains(test.want, alarm) {
					t.Errorf("%q in\n%s", alarm, out.String())
				}
			}
		})
	}
}
