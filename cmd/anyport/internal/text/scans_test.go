package text

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
)

// TestScans: the tables at 80 columns, with an estimate, and what the first lines say of a flood.
func TestScans(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.Local)
	hour, minute := now.Add(-time.Hour), now.Add(-time.Minute)
	list := &admin.Scans{
		Since: now.Add(-48 * time.Hour), Packets: 1200, Skipped: 7, Complete: false,
		Clients: []admin.Scanner{
			{Prefix: "198.51.100.7/32", Packets: 1190, Ports: admin.PortSum{Count: 998}, Since: hour, Last: minute},
			{Prefix: "2001:db8:f:ffff::/64", Packets: 10, Ports: admin.PortSum{Count: 5, Exact: true, Listed: []string{"22/tcp", "23/tcp", "443/tcp", "8443/tcp", "53/udp"}}, Since: minute, Last: now},
		},
		Networks: []admin.Scanner{},
		Ports:    []admin.ScannedPort{{Prefix: "192.0.2.0/24", Protocol: "tcp", Port: 22, Packets: 12345678, Clients: 2, ClientsExact: true, Since: hour, Last: now}},
	}
	var out strings.Builder
	if err := Scans(&out, list, 80, now); err != nil {
		t.Fatal(err)
	}
	const want = `1200 packets to ports that nobody serves, since 2025-12-31 12:00:00
7 more came too fast: they are in no table
there are more than the tables have room for: rare ones are left out

CLIENT                PACKETS  PORTS  SINCE  LAST  WHICH
198.51.100.7             1190   ~998     1h    1m
2001:db8:f:ffff::/64       10      5     1m    0s  22/tcp 23/tcp …443/tcp 53/udp

PORT    PACKETS  CLIENTS  SINCE  LAST  PREFIX
22/tcp    12.3M        2     1h    0s  192.0.2.0/24
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
