package daemon

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"anyport/cmd/anyport/internal/admin"
)

// TestOrders: a state that is forced on an origin, or its weight, decides where conns go; with
// on_all_down = "refuse" the kernel refuses them while no origin is up. The state holds across a
// reload, the weight does not.
func TestOriginOrders(t *testing.T) {
	a, b := echo(t), echo(t)
	routes := webRoute("web", "192.0.2.0/24", a+`", "`+b, "balance = \"first\"\non_all_down = \"refuse\"\non_down = \"close\"")
	routes = strings.Replace(routes, fmt.Sprintf("%q", a+`", "`+b), fmt.Sprintf("%q, %q", a, b), 1)
	l := start(t, "", routes)
	order := func(address, state string, weight int) admin.OriginStatus {
		t.Helper()
		o, err := l.Origin(t.Context(), admin.OriginOrder{Route: "web", Address: address, State: state, Weight: weight})
		if err != nil {
			t.Fatal(err)
		}
		return *o
	}
	onA := dialThrough(t, "192.0.2.7:80")
	if o := order(a, "drain", 0); o.Up || o.Forced != "drain" || o.State != "forced_drain" || o.ConnsActive != 1 || o.Why != "by hand" {
		t.Errorf("drain: %+v", o)
	}
	dialThrough(t, "192.0.2.7:80").Close()
	say(t, onA)
	if o := order(b, "down", 0); o.Forced != "down" || o.Changes["forced_down"] != 1 {
		t.Errorf("down: %+v", o)
	}
	if !refused("192.0.2.7:80") {
		t.Error("a route without an origin takes a conn")
	}
	say(t, onA) // of an origin that drains
	if o := order(a, "down", 0); o.Up {
		t.Errorf("down: %+v", o)
	}
	_ = onA.SetDeadline(time.Now().Add(time.Minute))
	if _, err := onA.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a conn of an origin that is down goes on: %v", err)
	}
	if _, err := l.Reload(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	if lookups := l.refusedByKernel(t); !refused("192.0.2.7:80") || l.refusedByKernel(t) == lookups {
		t.Error("after a reload the kernel takes a conn for a route without an origin")
	}
	if o := order(b, "ready", 0); !o.Up || o.Forced != "" {
		t.Errorf("ready: %+v", o)
	}
	dialThrough(t, "192.0.2.7:80").Close()
	if o := order(b, "", 0); !o.Up || o.Weight != 0 {
		t.Errorf("weight: %+v", o)
	}
	if !refused("192.0.2.7:80") {
		t.Error("an origin of weight 0 gets a conn")
	}
	if _, err := l.Reload(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	dialThrough(t, "192.0.2.7:80").Close()
	for _, wrong := range []struct {
		order admin.OriginOrder
		why   string
	}{
		{admin.OriginOrder{Route: "gone", Address: a, State: "down"}, `no route "gone" is in service`},
		{admin.OriginOrder{Route: "web", Address: "10.9.9.9", State: "down"}, `route "web" has no origin "10.9.9.9": it has ` + a + ", " + b},
		{admin.OriginOrder{Route: "web", Address: a, State: "up"}, `"up" is not a state`},
	} {
		_, err := l.Origin(t.Context(), wrong.order)
		refusedWith(t, err, wrong.why)
	}
}

// refusedByKernel counts the packets that the kernel has refused for the first route.
func (l *live) refusedByKernel(t *testing.T) uint64 {
	t.Helper()
	status, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := status.Routes[0].Verdicts["drain"]
	for verdict, more := range status.Routes[0].Verdicts {
		if verdict == "refuse" {
			n += more
		}
	}
	return n
}

// TestChecksRefuseInTheKernel: a route whose only origin fails its checks is refused by the kernel,
// and taken again when the origin is back.
func TestChecksRefuseInTheKernel(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := listener.Addr().String()
	listener.Close()
	l := start(t, "", webRoute("web", "192.0.2.0/24", at, `on_all_down = "refuse"`+"\n[route.web.health]\ninterval = \"100ms\"\nrise = 1"))
	eventually(t, "the origin is down", func() bool {
		status, err := l.Status(t.Context())
		o := status.Routes[0].Origins[0]
		return err == nil && !o.Up && o.State == "check_failed" && o.CheckedAt != nil && strings.Contains(o.CheckFailed, "refused")
	})
	eventually(t, "the kernel refuses", func() bool {
		before := l.refusedByKernel(t)
		return refused("192.0.2.7:80") && l.refusedByKernel(t) > before
	})
	if listener, err = net.Listen("tcp", at); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	eventually(t, "it is back", func() bool {
		conn, err := net.DialTimeout("tcp", "192.0.2.7:80", time.Minute)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}
