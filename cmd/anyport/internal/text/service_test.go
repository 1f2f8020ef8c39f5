package text

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
)

func TestServiceRows(t *testing.T) {
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
	want := []string{
		"unbound.service\tdns\ttcp\t127.0.0.1:53\tunbound (pid 812)\t2026-05-04 03:02:01\t12",
		"unbound.service\tdns\tudp\tAWAY\t-\t2026-05-04 03:02:01\t12\tunbound.service has several sockets",
		"pid:7\techo\ttcp\t0.0.0.0:7\tpid 7\t-\t0",
		"/x\techo\ttcp\tAWAY\t-\t-\t0",
	}
	if diff := cmp.Diff(want, serviceRows(s)); diff != "" {
		t.Error(diff)
	}
}
