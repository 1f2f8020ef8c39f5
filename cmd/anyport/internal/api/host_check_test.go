package api

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"anyport/config"
)

// TestSameSite: a page of the web cannot read what a browser here could, neither under a
// name of its own nor from its own server.
func TestSameSite(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"edge1.example.com"}
	for _, test := range []struct {
		host, origin string
		refused      string // a part of the reason; "": it is answered
	}{
		{"127.0.0.1:9765", "", ""},
		{"192.0.2.7:9765", "", ""},
		{"192.0.2.7", "", ""},
		{"[::1]:9765", "", ""},
		{"[2001:db8::1]", "", ""},
		{"localhost:9765", "", ""},
		{"LOCALHOST", "", ""},
		{hostname + ":9765", "", ""},
		{"edge1.example.com:9765", "", ""},
		{"Edge1.Example.com", "", ""},
		{"evil.example:9765", "", `"evil.example:9765"`},
		{"localhost.evil.example:9765", "", "Host header"},
		{"edge1.example.com.evil.example", "", "Host header"},
		{hostname + ".evil.example", "", "Host header"},
		{"127.0.0.1.evil.example:9765", "", "admin.http_hosts"},
		{"", "", "Host header"},

		{"127.0.0.1:9765", "http://127.0.0.1:9765", ""},
		{"edge1.example.com", "https://edge1.example.com", ""},
		{"127.0.0.1:9765", "http://evil.example", `"http://evil.example"`},
		{"127.0.0.1:9765", "http://192.0.2.66:9765", "Origin header"},
		{"127.0.0.1:9765", "http://127.0.0.1:80", "Origin header"},
		{"127.0.0.1:9765", "null", "Origin header"},
		{"127.0.0.1:9765", "::", "Origin header"},
	} {
		request := httptest.NewRequest("GET", "/", nil)
		request.Host = test.host
		if test.origin != "" {
			request.Header.Set("Origin", test.origin)
		}
		answer := httptest.NewRecorder()
		sameSite(func() config.Admin { return config.Admin{HTTPHosts: names} }, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(answer, request)
		want := http.StatusOK
		if test.refused != "" {
			want = http.StatusForbidden
		}
		if answer.Code != want || !strings.Contains(answer.Body.String(), test.refused) {
			t.Errorf("asked as %q from %q: %d, %s", test.host, test.origin, answer.Code, answer.Body)
		}
	}
}
