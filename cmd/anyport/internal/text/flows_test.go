package text

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"anyport/cmd/anyport/internal/admin"
)

func TestFlowTable(t *testing.T) {
	var out bytes.Buffer
	table := NewFlowTable(&out)
	for _, f := range []admin.Flow{
		{ID: "0123456789abcdef", State: "open", Protocol: "tcp", Client: "198.51.100.9:50123", Dst: "192.0.2.1:80", Route: "web", Origin: "10.0.0.5:8080", AgeSeconds: 3723, IdleSeconds: 0.04, ToOrigin: 1 << 20, ToClient: 3 << 30},
		{ID: "0123456789abcdef", State: "unanswered", Protocol: "udp", Client: "[2001:db8::9]:53", Dst: "[2001:db8:1::1]:65535", Route: "game", AgeSeconds: 9.96, Path: admin.PathUser, PathReason: "unanswered"},
		{ID: "0123456789abcdef", State: "open", Protocol: "udp", Client: "[2001:db8::9]:54", Dst: "[2001:db8:1::1]:65535", Route: "game", Path: admin.PathKernel},
		{ID: "0123456789abcdef", State: "waiting", Protocol: "tcp", Client: "198.51.100.9:50124", Dst: "192.0.2.1:80", Route: "web", Waiting: true},
	} {
		if err := table.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	if out.Len() > 0 {
		t.Errorf("it is written before it is aligned: %q", out.String())
	}
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	const want = `ID                PROTO     CLIENT              DST                    ROUTE     ORIGIN         STATE       PATH              AGE       IDLE      TO ORIGIN  TO CLIENT
0123456789abcdef  tcp       198.51.100.9:50123  192.0.2.1:80           web       10.0.0.5:8080  open        -                 1h2m3s    0s        1.0 MiB    3.0 GiB
0123456789abcdef  udp       [2001:db8::9]:53    [2001:db8:1::1]:65535  game      -              unanswered  user: unanswered  10s       0s        0 B        0 B
0123456789abcdef  udp       [2001:db8::9]:54    [2001:db8:1::1]:65535  game      -              open        kernel            0s        0s        0 B        0 B
0123456789abcdef  tcp       198.51.100.9:50124  192.0.2.1:80           web       waiting        waiting     -                 0s        0s        0 B        0 B
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestFlowTableIsBounded: a long list is written while it comes, and an error of the writer ends it.
func TestFlowTableIsBounded(t *testing.T) {
	var out bytes.Buffer
	table := NewFlowTable(&out)
	for i := range 2500 {
		if err := table.Add(admin.Flow{Client: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines != 2001 {
		t.Errorf("%d lines are written of 2500 rows, want 2001", lines)
	}
	gone := errors.New("the reader is gone")
	table = NewFlowTable(failing{gone})
	rows := 0
	for ; rows < 5000; rows++ {
		if err := table.Add(admin.Flow{}); errors.Is(err, gone) {
			break
		}
	}
	if rows >= 1000 {
		t.Errorf("%d rows were made for nobody", rows)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
