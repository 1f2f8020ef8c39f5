package integration

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestFlows checks that live conns and flows are listed with their addresses and byte
// counts, for one route or for all, and that ended ones are not listed.
func TestFlows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.client.route(t, "203.0.113.0/24", edgeV4)
	r.origin.serve(t, "10.0.0.5:4711", echo)
	r.origin.answer(t, "10.0.0.5:4711", named("origin"))
	p := r.edge.serveWith(t, twoRoutes)
	type flow struct {
		Protocol, Client, Dst, Route, Origin string
		Age                                  *float64 `json:"age_seconds"`
		Idle                                 *float64 `json:"idle_seconds"`
		ToOrigin                             int      `json:"bytes_to_origin"`
		ToClient                             int      `json:"bytes_to_client"`
	}
	list := func(args ...string) map[string]flow {
		t.Helper()
		got := anyport(t, append([]string{"flows", "--json", "--socket", p.socket}, args...)...)
		var all struct{ Flows []flow }
		if err := json.Unmarshal([]byte(got.stdout), &all); err != nil || got.status != 0 || all.Flows == nil {
			t.Fatalf("%+v, %v", got, err)
		}
		byClient := map[string]flow{}
		for _, f := range all.Flows {
			byClient[f.Protocol+" "+f.Client] = f
		}
		return byClient
	}
	if got := list(); len(got) > 0 {
		t.Errorf("before anybody has come: %+v", got)
	}
	conn, other, talker := r.client.dial(t, "tcp", dstV4+":4711"), r.client.dial(t, "tcp", "203.0.113.9:4711"), r.client.dial(t, "udp", dstV4+":4711")
	talk(t, conn, "hello")
	talk(t, other, "hello")
	trade(t, talker, "ping")

	all := list()
	f, u := all["tcp "+conn.LocalAddr().String()], all["udp "+talker.LocalAddr().String()]
	if len(all) != 3 || f.Route != "web" || f.Dst != dstV4+":4711" || f.Origin != "10.0.0.5:4711" || f.ToOrigin != 5 || f.ToClient != 5 || f.Age == nil || f.Idle == nil {
		t.Errorf("listed %+v", all)
	}
	if u.Route != "web" || u.Origin != "10.0.0.5:4711" || u.ToOrigin != 4 || u.ToClient != len("origin ping") {
		t.Errorf("the flow is %+v", u)
	}
	if got := list("--route", "gone"); len(got) != 1 || got["tcp "+other.LocalAddr().String()].Route != "gone" {
		t.Errorf("of one route: %+v", got)
	}

	text := anyport(t, "flows", "--socket", p.socket)
	if text.status != 0 || !strings.HasPrefix(text.stdout, "ID ") || !strings.Contains(text.stdout, talker.LocalAddr().String()) || strings.Count(text.stdout, "\n") != 4 {
		t.Errorf("%+v", text)
	}
	if got := anyport(t, "flows", "--route", "nobody", "--socket", p.socket); got.status != 1 || !strings.Contains(got.stderr, "there are gone, web") {
		t.Errorf("of no route: %+v", got)
	}
	top := anyport(t, "top", "--interval", "100ms", "--count", "2", "--socket", p.socket)
	if top.status != 0 || strings.Count(top.stdout, conn.LocalAddr().String()) != 2 || strings.Contains(top.stdout, "\x1b") {
		t.Errorf("top: %+v", top)
	}
	conn.Close()
	eventually(t, "the conn is gone", func() bool { return len(list()) == 2 })
}
