package text

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/fleet"
	"anyport/cmd/anyport/internal/fleet/overview"
)

func TestFleet(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	minute := now.Add(-time.Minute)
	o := overview.Overview{
		Source: "etcd://10.9.0.1:2379/anyport", Table: "3f2a9c1b2d3e4f", Size: 1200, Created: now.Add(-time.Hour), By: "root@edge1", Previous: "11aa22bb33cc44",
		Push: &overview.Push{By: "ci@build\x1b[2J", Began: minute, Table: "77ee66dd55cc44", Stage: "10%", Hosts: []string{"edge1", "edge2"}},
		Hosts: []overview.Host{
			{Report: fleet.Report{Host: "edge1", Table: "77ee66dd55cc44", Since: minute, Generation: 7, Ready: true, Announcing: true, Conns: 12, Flows: 3, Version: "v1.2"}},
			{Report: fleet.Report{Host: "edge2", Table: "3f2a9c1b2d3e4f", Since: now.Add(-time.Hour), Generation: 6, Version: "v1.1", ErrorTable: "77ee66dd55cc44", LastError: "line 3: \x1b[1mno room\n  for it"},
				Wanted: "77ee66dd55cc44", Differs: []overview.Difference{overview.Table, overview.Refused, overview.Unready, overview.Version}},
			{Report: fleet.Report{Host: "edge3", Draining: true, Version: "v1.2"},
				Differs: []overview.Difference{overview.Name}, Namesakes: []fleet.Report{{Host: "edge3", Hostname: "twin"}}},
		},
		Differ: 2,
	}
	var out strings.Builder
	if err := Fleet(&out, o, 80, now); err != nil {
		t.Fatal(err)
	}
	const want = `source    etcd://10.9.0.1:2379/anyport
table     3f2a9c1b2d3e, 1.2 KiB, by root@edge1, 1h ago
previous  11aa22bb33cc
push      of 77ee66dd55cc, by ci@build\x1b[2J, for 1m: stage 10%, on edge1,edge2

HOST   TABLE         FOR  GEN  READY      CONNS  FLOWS  VERSION
edge1  77ee66dd55cc   1m    7  announced     12      3  v1.2
edge2  3f2a9c1b2d3e   1h    6  no             0      0  v1.1
  differs: it should serve 77ee66dd55cc; it is not ready;
  most hosts have another version
  refused 77ee66dd55cc: line 3: \x1b[1mno room for it
edge3  none            -    0  drains         0      0  v1.2
  differs: twin has this name too, and cannot report

3 hosts, 2 not as it should be
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	out.Reset()
	if err := Fleet(&out, overview.Overview{Source: "etcd://a/b"}, 80, now); err != nil || out.String() != "source    etcd://a/b\ntable     none\nprevious  none\nno host reports to this source\n" {
		t.Errorf("%v, %q", err, out.String())
	}
}
