package text

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
)

func TestServiceTable(t *testing.T) {
	since := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	s := &admin.Status{Routes: []admin.RouteStatus{
		{Name: "web"},
		{Name: "dns", Verdicts: map[string]uint64{"socket": 12}, LocalSockets: []admin.LocalSocket{
			{Service: "unbound.service", Protocol: "tcp", Up: true, Listener: "127.0.0.1:53", PID: 812, Process: "unbound", Since: &since},
			{Service: "unbound.service", Protocol: "udp", Problem: "unbound.service has several sockets", Since: &since},
		}},
		{Name: "echo", LocalSockets: []admin.LocalSocket{
			{Service: "pid:7", Protocol: "tcp", Up: true, Listener: "0.0.0.0:7", PID: 7},
			{Service: "/x", Protocol: "tcp"},
		}},
	}}
	const want = `SERVICE          ROUTE  PROTOCOL  LISTENER      LOOKUPS
unbound.service  dns    tcp       127.0.0.1:53  12
  unbound (pid 812), since 2026-05-04 03:02:01
unbound.service  dns    udp       AWAY          12
  since 2026-05-04 03:02:01
  unbound.service has several sockets
pid:7            echo   tcp       0.0.0.0:7     0
  pid 7
/x               echo   tcp       AWAY          0
`
	var got strings.Builder
	services := serviceTable(s)
	services.Write(&got, lineWidth)
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}
