package api

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestVerbs asks everything as everybody: root may do all, the user that anyport runs as
// what runs, opens and loads nothing of its choice, and others nothing.
func TestVerbs(t *testing.T) {
	const own, other, unknown = 999, 1000, -1
	asked := map[string]bool{}
	for _, test := range []struct {
		request string
		owner   bool // may the user that anyport runs as
	}{
		{"GET /openapi.json", true},
		{"GET /livez", true},
		{"GET /readyz", true},
		{"GET /about", true},
		{"GET /status", true},
		{"GET /flows?route=a", true},
		{"GET /explain?dst=x", true},
		{"GET /scans?limit=5", true},
		{"GET /drift", true},
		{"GET /sysdump", true},
		{"GET /trace?client=a&route=b", true},
		{"POST /kill?route=a", true},
		{"POST /drain?route=a&wait=1", true},
		{"POST /confirm", true},
		{"POST /origin?route=a&address=b&state=drain", true},
		{"POST /reload?dry_run=1", true},
		{"POST /reload?dry_run=1&fd=program", false},
		{"POST /upgrade?binary=", true},
		{"POST /upgrade?binary=/bin/sh", false},
		{"POST /upgrade?binary=&fd=program", false},
		{"POST /upgrade?fd=&fd=program", false},
		{"POST /upgrade?binary=&binary=/bin/sh", false},
	} {
		method, target, _ := strings.Cut(test.request, " ")
		path, _, _ := strings.Cut(target, "?")
		asked[method+" "+path] = true
		for uid, may := range map[int]bool{0: true, own: test.owner, other: false, unknown: false} {
			want := http.StatusForbidden
			if may {
				want = http.StatusOK
			}
			if got := askAs(peer{uid: uid, owner: own}, httptest.NewRequest(method, target, nil)); got != want {
				t.Errorf("%s by user %d: %d, want %d", test.request, uid, got, want)
			}
		}
		want := http.StatusForbidden
		if method == http.MethodGet && path != "/sysdump" { // what changes nothing; the log is not for everybody
			want = http.StatusOK
		}
		if got := askAs(peer{uid: other, owner: own, member: true}, httptest.NewRequest(method, target, nil)); got != want {
			t.Errorf("%s by a member of the group: %d, want %d", test.request, got, want)
		}
	}
	for _, v := range verbs {
		if !asked[v.pattern] {
			t.Errorf("nobody has asked for %s", v.pattern)
		}
	}
	if got := askAs(peer{owner: own}, httptest.NewRequest("POST", "/drain", strings.NewReader("that may never end"))); got != http.StatusForbidden {
		t.Errorf("a request with a body: %d", got)
	}
}

// askAs returns the status of the answer where all that is allowed succeeds.
func askAs(p peer, r *http.Request) int {
	a := &API{log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	mux := http.NewServeMux()
	for _, v := range verbs {
		mux.HandleFunc(v.pattern, a.allowed(v, func(http.ResponseWriter, *http.Request) {}))
	}
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, asPeer(p, r))
	return answer.Code
}
