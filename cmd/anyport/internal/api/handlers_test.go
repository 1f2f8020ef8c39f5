package api

import (
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestParseQuestion(t *testing.T) {
	for _, test := range []struct {
		protocol, dst, client string
		ok                    bool
	}{
		{"tcp", "192.0.2.7:80", "", true},
		{"udp", "[2001:db8::7]:53", "198.51.100.9", true},
		{"", "192.0.2.7:80", "", false},
		{"tcp", "192.0.2.7", "", false},
		{"tcp", "192.0.2.7:80", "me", false},
	} {
		query := url.Values{"protocol": {test.protocol}, "dst": {test.dst}, "client": {test.client}}
		q, err := parseQuestion(httptest.NewRequest("GET", "/explain?"+query.Encode(), nil))
		if (err == nil) != test.ok {
			t.Errorf("%v: %v", query, err)
		}
		if test.ok && (q.Protocol.String() != test.protocol || q.Dst.String() != test.dst || q.Client.IsValid() != (test.client != "")) {
			t.Errorf("%v: read as %v", query, q)
		}
	}
}
