package daemon

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"anyport/cmd/anyport/internal/openapitest"
)

// TestOpenAPIOfADaemon: what a process with conns, flows of both kinds of routes and an origin that is down
// answers is what docs/reference/openapi.json says.
func TestOpenAPIOfADaemon(t *testing.T) {
	origin := echo(t)
	refuse := "[route.closed]\nprotocol = \"udp\"\nprefixes = [\"198.51.100.0/24\"]\naction = \"refuse\"\n"
	l := start(t, "", webRoute("web", "192.0.2.0/24", origin, "route_bandwidth = \"1MiB/s\"")+
		webRoute("dead", "203.0.113.0/24", "127.0.0.1:1", "")+refuse)
	dialThrough(t, "192.0.2.7:4711")
	_ = refused("203.0.113.1:80")
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", l.Socket) }
	client := http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	for _, test := range []struct{ request, schema string }{
		{"GET /livez", "Health"},
		{"GET /readyz", "Health"},
		{"GET /status", "Status"},
		{"GET /flows", "FlowList"},
		{"GET /flows?sort=age", "FlowList"},
		{"GET /explain?protocol=tcp&dst=192.0.2.1:80", "Explained"},
		{"GET /drift", "Drift"},
		{"GET /sysdump", "Sysdump"},
		{"POST /origin?route=web&state=ready&address=" + origin, "OriginStatus"},
		{"POST /drain?route=web", "Drained"},
		{"POST /reload?dry_run=1", "Reloaded"},
		{"POST /reload", "Reloaded"},
		{"POST /kill?route=web&id=none", "Killed"},
		{"GET /status", "Status"},
	} {
		method, path, _ := strings.Cut(test.request, " ")
		request, err := http.NewRequestWithContext(t.Context(), method, "http://anyport"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %d, %s, %v", test.request, answer.StatusCode, text, err)
			continue
		}
		for _, wrong := range openapitest.Check(test.schema, text) {
			t.Errorf("%s: %s", test.request, wrong)
		}
	}
}
