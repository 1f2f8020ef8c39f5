package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"anyport/cmd/anyport/internal/admin"
	"anyport/steering"
)

func TestKernelConditions(t *testing.T) {
	for _, test := range []struct {
		kernel steering.Readiness
		err    error
		want   map[string]string
	}{
		{steering.Readiness{}, nil, map[string]string{}},
		{steering.Readiness{}, errors.New("no answer"), map[string]string{"steering": "no answer"}},
		{steering.Readiness{Closed: true}, nil, map[string]string{"listeners": "the listeners are closed", "steering": "the steering is closed"}},
		{steering.Readiness{Link: "detached"}, nil, map[string]string{"steering": "the steering program is detached"}},
		{steering.Readiness{Missing: []string{"a", "b"}}, nil, map[string]string{"steering": "a; b"}},
		{steering.Readiness{Table: "generation 3"}, nil, map[string]string{"table": "generation 3"}},
		{steering.Readiness{Sockets: []string{"the TCP socket is not in its slot"}}, nil, map[string]string{"listeners": "the TCP socket is not in its slot"}},
	} {
		h := admin.NewHealth(kernelConditions(test.kernel, test.err)...)
		if diff := cmp.Diff(test.want, failedOf(h)); diff != "" || h.OK != (len(test.want) == 0) || len(h.Conditions) != 3 {
			t.Errorf("%+v: %+v, -want +got:\n%s", test.kernel, h, diff)
		}
	}
}

func TestLoopCondition(t *testing.T) {
	now := time.Unix(1000, 0)
	for since, want := range map[int64]string{
		0:                                        "",
		now.UnixNano():                           "",
		now.Add(-standingTimeout + 1).UnixNano(): "",
		now.Add(-standingTimeout).UnixNano():     "1 of 3 event loops do not turn",
	} {
		if got := loopCondition(since, 1, 3, now); got.Failed != want {
			t.Errorf("since %d: %+v, want %q", since, got, want)
		}
	}
}

func failedOf(h admin.Health) map[string]string {
	failed := map[string]string{}
	for _, c := range h.Conditions {
		if c.Failed != "" {
			failed[c.Name] = c.Failed
		}
	}
	return failed
}

// askHealth returns the status and what has failed, by name.
func askHealth(t *testing.T, l *live, path string) (status int, failed map[string]string) {
	t.Helper()
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", l.Socket) }
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	answer, err := client.Get("http://anyport" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var h admin.Health
	if err := json.NewDecoder(answer.Body).Decode(&h); err != nil || h.OK != (answer.StatusCode == http.StatusOK) {
		t.Errorf("%s: %d, %+v, %v", path, answer.StatusCode, h, err)
	}
	return answer.StatusCode, failedOf(h)
}

// awaitReadiness waits until these conditions fail, and no others.
func awaitReadiness(t *testing.T, l *live, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("readyz fails by %q", want), func() bool {
		_, failed := askHealth(t, l, "/readyz")
		return slices.Equal(slices.Sorted(maps.Keys(failed)), want)
	})
}

// TestReadiness: /readyz fails for each reason why new conns do not come here, names it, and recovers.
func TestReadiness(t *testing.T) {
	l := start(t, "", webRoute("web", "192.0.2.0/24", echo(t), "drain_timeout = \"30s\""))
	awaitReadiness(t, l)
	if _, err := l.Drain(t.Context(), admin.DrainOrder{}); err != nil {
		t.Fatal(err)
	}
	awaitReadiness(t, l, "draining")
	if _, err := l.Drain(t.Context(), admin.DrainOrder{Undo: true}); err != nil {
		t.Fatal(err)
	}
	awaitReadiness(t, l)
	conn := dialThrough(t, "192.0.2.7:4711")
	l.signals <- syscall.SIGTERM
	eventually(t, "it is stopping", func() bool {
		code, failed := askHealth(t, l, "/readyz")
		return code == http.StatusServiceUnavailable && strings.Contains(failed["stopping"], "an order to stop")
	})
	if code, failed := askHealth(t, l, "/livez"); code != http.StatusOK {
		t.Errorf("livez of a process that stops: %d, %v", code, failed)
	}
	conn.Close()
}

// TestReadinessSeesTheKernel: a local route that somebody else has made and then removed is named, and is not
// needed once it is back.
func TestReadinessSeesTheKernel(t *testing.T) {
	if os.Getenv(insideVariable) == "" {
		t.Skip("needs root and a network namespace")
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	_, prefix, err := net.ParseCIDR("192.0.2.0/24")
	if err != nil {
		t.Fatal(err)
	}
	local := &netlink.Route{Dst: prefix, LinkIndex: lo.Attrs().Index, Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST}
	if err := netlink.RouteAdd(local); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.RouteDel(local) })
	l := start(t, "", webRoute("web", "192.0.2.0/24", echo(t), ""), func(o *Options) { o.Config.Steering.ManageRoutes = false })
	awaitReadiness(t, l)
	if err := netlink.RouteDel(local); err != nil {
		t.Fatal(err)
	}
	awaitReadiness(t, l, "steering")
	if err := netlink.RouteAdd(local); err != nil {
		t.Fatal(err)
	}
	awaitReadiness(t, l)
}
