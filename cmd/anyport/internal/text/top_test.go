package text

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
)

func TestTop(t *testing.T) {
	begun := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	at := func(second int, routes []admin.RouteStatus, flows ...admin.Flow) Sample {
		return Sample{begun.Add(time.Duration(second) * time.Second), &admin.Status{Version: "v1", PID: 7, UptimeSeconds: int64(second), Routes: routes}, flows}
	}
	route := func(name string, active int64, total, toOrigin, toClient uint64) admin.RouteStatus {
		return admin.RouteStatus{Name: name, ConnsActive: active, ConnsTotal: total, BytesToOrigin: toOrigin, BytesToClient: toClient}
	}
	flow := func(client string, age float64, toOrigin, toClient uint64) admin.Flow {
		return admin.Flow{Protocol: "udp", Client: client, Dst: "192.0.2.1:53", Route: "game", Origin: "10.0.0.5:53", AgeSeconds: age, ToOrigin: toOrigin, ToClient: toClient}
	}
	before := at(10, []admin.RouteStatus{route("game", 1, 100, 1000, 0)},
		flow("slow:1", 10, 9000, 0), flow("quick:1", 10, 10, 0), flow("again:1", 10, 5000, 0))
	drained := route("game", 2, 110, 3048, 2048)
	drained.Draining, drained.Refused = true, 5
	now := at(12, []admin.RouteStatus{drained, route("fresh", 1, 1, 0, 0)},
		flow("slow:1", 12, 9002, 0), flow("again:1", 1, 10, 0), flow("quick:1", 12, 2058, 2048))
	const want = `anyport v1, pid 7, up for 12s: 3 live, 5.5 new/s, 1.0 KiB/s to origins, 1.0 KiB/s to clients

ROUTE            ACTIVE  NEW/S  REFUSED/S  DENIED/S  LIMITED/S  TO ORIGIN/S  TO CLIENT/S
game (draining)  2       5.0    2.5        0         0          1.0 KiB      1.0 KiB
fresh            1       0.5    0          0         0          0 B          0 B

PROTO  CLIENT   DST           ROUTE  ORIGIN       AGE  IDLE  TO ORIGIN/S  TO CLIENT/S  TO ORIGIN  TO CLIENT
udp    quick:1  192.0.2.1:53  game   10.0.0.5:53  12s  0s    1.0 KiB      1.0 KiB      2.0 KiB    2.0 KiB
udp    again:1  192.0.2.1:53  game   10.0.0.5:53  1s   0s    10 B         0 B          10 B       0 B
udp    slow:1   192.0.2.1:53  game   10.0.0.5:53  12s  0s    1 B          0 B          8.8 KiB    0 B
`
	if diff := cmp.Diff(want, Top(before, now)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	restarted := at(1, []admin.RouteStatus{route("game", 1, 4, 0, 0)})
	restarted.Status.PID, restarted.At = 8, before.At.Add(2*time.Second)
	if got := Top(before, restarted); !strings.Contains(got, "2.0 new/s") {
		t.Errorf("of another process:\n%s", got)
	}
}

// TestScreen: a terminal gets no more than fits, one picture over the other; a file gets
// the text alone.
func TestScreen(t *testing.T) {
	const text = "first line\nsecond\nthird\n"
	var out strings.Builder
	s := Screen{out: &out}
	leave := s.Open()
	if err := s.Show(text); err != nil {
		t.Fatal(err)
	}
	leave()
	if out.String() != text {
		t.Errorf("a file gets %q", out.String())
	}

	out.Reset()
	s.terminal, s.size = true, func() (rows, columns int) { return 2, 5 }
	leave = s.Open()
	if err := s.Show(text); err != nil {
		t.Fatal(err)
	}
	leave()
	if want := "\x1b[?1049h\x1b[?25l" + "\x1b[Hfirst\x1b[K\r\nsecon\x1b[K\x1b[J" + "\x1b[?25h\x1b[?1049l"; out.String() != want {
		t.Errorf("a terminal gets %q, want %q", out.String(), want)
	}
}
